/** The axis of scores, as figures of scores have it: in points, with room for every interval, and a line at each tick. */
import * as Plot from "@observablehq/plot";
import { points } from "../report/numbers.js";
import { grid } from "./palette.js";

/** The scale for `scores` and the ends of their intervals, between `bottom` and `top` in pixels. */
export function scoreScale(scores: readonly number[], bottom: number, top: number) {
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const padding = 0.08 * (high - low) || 0.01;
  return { domain: [low - padding, high + padding], range: [bottom, top] };
}

/** Its lines and its numbers, under a label such as "accuracy x 100". */
export function scoreAxis(label: string): Plot.Markish[] {
  return [
    Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 5 }),
    Plot.axisY({ ticks: 5, tickFormat: (value: number) => points(value), label, labelArrow: "none" }),
  ];
}
