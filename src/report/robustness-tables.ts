/** The robustness card in the terminal: a table for each task and perturbation, in at most 80 columns. */
import type { Robustness, RobustnessCurve } from "../experiment/records.js";
import { points, toNumber } from "./numbers.js";
import type { Paint } from "./paint.js";
import { plainTable } from "./plain-table.js";

/** A curve as a line of its numbers, and below them what rounding does. */
export function robustnessTables({ curves, rounding, ratios }: Robustness, paint: Paint): string[] {
  const places = [...new Set(curves.map(({ task, perturbation }) => `${task}\n${perturbation}`))];
  const tables = places.map((place) => {
    const [task, perturbation] = place.split("\n");
    const own = curves.filter((curve) => curve.task === task && curve.perturbation === perturbation);
    const title = `${paint.bold(task!)}  ${own[0]!.metric} x 100 under ${perturbation} noise, ${seeds(own)}`;
    return tableOf(
      title,
      ["method", ...ratios.map(ratioLabel), "area", "95% interval", "answer less it"],
      own.map((curve) => [
        curve.method,
        ...curve.points.map((point) => points(point.mean)),
        points(curve.area),
        between(curve.areaCi95),
        difference(curve),
      ]),
    );
  });
  return [
    ...tables,
    ...[...new Set(rounding.map((entry) => entry.task))].map((task) => {
      const own = rounding.filter((entry) => entry.task === task);
      return tableOf(
        `${paint.bold(task)}  adapters rounded to ${own[0]!.bits} bits, ${seeds(own)}`,
        ["method", "clean", "rounded", "change", "95% interval"],
        own.map((entry) => [
          entry.method,
          points(entry.clean),
          points(entry.rounded),
          signed(toNumber(entry.change)),
          between(entry.ci95),
        ]),
      );
    }),
  ];
}

/** What the tables mean, and what they leave out. */
export function robustnessLegend({ leftOut, warnings, rows }: Robustness): string {
  return [
    "area: under the curve, as the mean score over its range; answer less it: the",
    "difference of areas, paired by seed, with half of its 95% interval",
    "input: tokens replaced, deleted, swapped; activation: Gaussian on each layer's",
    "states; path: adapters that say noise; weight: Gaussian on adapter weights",
    ...(rows === null ? [] : [`measured on at most ${rows} evaluation rows a task`]),
    ...leftOut.map(({ method, perturbation, reason }) => `without ${method} under ${perturbation} noise: ${reason}`),
    ...warnings.map((warning) => `note: ${warning}`),
  ].join("\n");
}

/** "15%" for 0.15. */
export function ratioLabel(ratio: number): string {
  return `${Number((100 * ratio).toPrecision(3))}%`;
}

function tableOf(title: string, head: string[], rows: string[][]): string {
  const align = head.map((_, column) => (column === 0 ? "left" : "right"));
  return `${title}\n${plainTable(head, align, rows)}`;
}

function seeds(entries: readonly { seeds: number }[]): string {
  const count = Math.max(...entries.map((entry) => entry.seeds));
  return `${count} ${count === 1 ? "seed" : "seeds"}`;
}

function between(interval: RobustnessCurve["areaCi95"]): string {
  return interval === null ? "-" : `${points(interval[0])} to ${points(interval[1])}`;
}

function signed(value: number): string {
  return `${value < 0 ? "-" : "+"}${points(Math.abs(value))}`;
}

function difference({ difference, differenceCi95 }: RobustnessCurve): string {
  if (difference === null) return "the answer";
  const half =
    differenceCi95 === null ? "" : ` +- ${points((toNumber(differenceCi95[1]) - toNumber(differenceCi95[0])) / 2)}`;
  return `${signed(toNumber(difference))}${half}`;
}
