/** Lines that name themselves: each series' label stands at its end. */
import * as Plot from "@observablehq/plot";
import { spread, textWidth } from "./labels.js";
import { seriesColour, seriesDashes } from "./palette.js";

/** What a series' label needs of the figure's frame, in pixels and data. */
export interface LabelSpace {
  /** The scale of y, as Plot.scale makes it from the frame. */
  y: Plot.Scale;
  top: number;
  bottom: number;
}

export interface SeriesEnd {
  name: string;
  index: number;
  x: number;
  y: number;
}

/** Room on the right for the longest name. */
export function labelMargin(names: readonly string[]): number {
  return 16 + Math.max(0, ...names.map((name) => textWidth(name, "bold")));
}

/** Labels at the ends of series, moved apart where they would cover each other, in the colours of their lines. */
export function endLabels(ends: readonly SeriesEnd[], { y, top, bottom }: LabelSpace): Plot.Markish {
  const wanted = ends.map((end) => y.apply(end.y) as number);
  const moved = spread(wanted, 14, top + 6, bottom - 6);
  const placed = ends.map((end, index) => ({ ...end, at: y.invert!(moved[index]!) as number }));
  return placed.map((end) =>
    Plot.text([end], {
      x: "x",
      y: "at",
      text: "name",
      fill: seriesColour(end.index),
      textAnchor: "start",
      dx: 8,
      fontWeight: end.index === 0 ? 600 : 400,
    }),
  );
}

/** One line a group, in its series' colour. */
export function seriesLine<Point>(
  points: readonly Point[],
  index: number,
  options: Plot.LineOptions,
): ReturnType<typeof Plot.line> {
  return Plot.line(points as Point[], {
    stroke: seriesColour(index),
    strokeDasharray: seriesDashes(index),
    strokeWidth: index === 0 ? 2 : 1.25,
    ...options,
  });
}
