/** Robustness: the score under a growing perturbation, a line a method. */
import * as Plot from "@observablehq/plot";
import { points as inPoints } from "../report/numbers.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { dim, seriesColour } from "./palette.js";
import { scoreAxis, scoreScale } from "./score-axis.js";
import { endLabels, labelMargin, type SeriesEnd, seriesLine } from "./series.js";

/** A method's score when a share `ratio` of what is perturbed is. `low` and `high`: its interval over seeds, where there is one. */
export interface RobustnessPoint {
  method: string;
  ratio: number;
  score: number;
  low?: number | undefined;
  high?: number | undefined;
}

export interface RobustnessOptions extends FigureOptions {
  /** What is perturbed, such as "input noise". */
  perturbation: string;
  /** The score's name; default: "score". */
  metric?: string;
}

/**
 * The curves of one perturbation on one task. Bands are drawn to one span of all scores beyond them, and to at least ten points: the
 * interval of two seeds can be so wide that no curve would be seen beside it.
 */
export function robustnessCurves(points: readonly RobustnessPoint[], options: RobustnessOptions): SVGSVGElement {
  const { perturbation, metric = "score", width = defaultWidth } = options;
  const name = `${metric} under ${perturbation}`;
  if (points.length === 0) return emptyFigure(name, `Nothing was measured under ${perturbation}.`, options);
  const methods = [...new Set(points.map((point) => point.method))];
  const [height, marginTop, marginBottom] = [240, 24, 38];
  const scores = points.map((point) => point.score);
  const [lowest, highest] = [Math.min(...scores), Math.max(...scores)];
  const reach = Math.max(highest - lowest, 0.1);
  const shown = points.map(({ low, high, ...point }) => ({
    ...point,
    low: low === undefined ? undefined : Math.max(low, lowest - reach),
    high: high === undefined ? undefined : Math.min(high, highest + reach),
  }));
  const bounds = shown.flatMap((point) => [point.low ?? point.score, point.high ?? point.score, point.score]);
  const y = scoreScale(bounds, height - marginBottom, marginTop);
  const series = methods.map((method) =>
    shown.filter((point) => point.method === method).sort((a, b) => a.ratio - b.ratio),
  );
  const ends = series.map((line, index): SeriesEnd => {
    const last = line.at(-1)!;
    return { name: last.method, index, x: last.ratio, y: last.score };
  });
  return drawFigure(
    {
      name,
      says: series
        .map((line) => `${line[0]!.method} goes from ${inPoints(line[0]!.score)} to ${inPoints(line.at(-1)!.score)}`)
        .join("; "),
      height,
      marginTop,
      marginBottom,
      marginLeft: 44,
      marginRight: Math.min(width / 3, labelMargin(methods)),
      x: { label: `${perturbation} (%)` },
      y,
      marks: [
        ...scoreAxis(`${metric} x 100`),
        Plot.axisX([...new Set(points.map((point) => point.ratio))], {
          tickFormat: (ratio: number) => String(Number((100 * ratio).toPrecision(3))),
          labelAnchor: "center",
          labelArrow: "none",
          fill: dim,
        }),
        ...series.flatMap((line, index) => [
          Plot.areaY(
            line.filter((point) => point.low !== undefined && point.high !== undefined),
            { x: "ratio", y1: "low", y2: "high", fill: seriesColour(index), fillOpacity: 0.12 },
          ),
          seriesLine(line, index, { x: "ratio", y: "score", marker: "dot" }),
        ]),
        endLabels(ends, { y: Plot.scale({ y }), top: marginTop, bottom: height - marginBottom }),
      ],
    },
    options,
  );
}
