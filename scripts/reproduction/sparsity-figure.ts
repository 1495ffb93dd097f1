/** Score against the weight of the sparsity term, a line a task. */
import * as Plot from "@observablehq/plot";
import { drawFigure } from "../../src/charts/figure.js";
import type { FigureOptions } from "../../src/charts/index.js";
import { dim, grid, seriesColour } from "../../src/charts/palette.js";
import { endLabels, labelMargin, seriesLine } from "../../src/charts/series.js";

export interface SparsityPoint {
  task: string;
  weight: number;
  score: number;
  low: number;
  high: number;
}

export function sparsityFigure(points: readonly SparsityPoint[], options: FigureOptions): SVGSVGElement {
  const tasks = [...new Set(points.map((point) => point.task))];
  const series = tasks.map((task) => points.filter((point) => point.task === task));
  const [height, top, bottom] = [260, 24, 38];
  const bounds = points.flatMap(({ low, high }) => [low, high]);
  const y = { domain: [Math.min(...bounds), Math.max(...bounds)], range: [height - bottom, top], nice: true };
  const text = (score: number) => (100 * score).toFixed(1);
  return drawFigure(
    {
      name: "score against the weight of the sparsity term",
      says: series
        .map((line) => `${line[0]!.task}: ${line.map(({ weight, score }) => `${text(score)} at ${weight}`).join(", ")}`)
        .join("; "),
      height,
      marginTop: top,
      marginBottom: bottom,
      marginLeft: 44,
      marginRight: labelMargin(tasks),
      x: { type: "log", label: "weight of the sparsity term" },
      y,
      marks: [
        Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 5 }),
        Plot.axisX([...new Set(points.map((point) => point.weight))], {
          // A tick format would leave out some: on a logarithmic scale Plot labels round ones only.
          text: String,
          labelAnchor: "center",
          labelArrow: "none",
          fill: dim,
        }),
        Plot.axisY({ ticks: 5, tickFormat: text, label: "score x 100", labelArrow: "none" }),
        ...series.flatMap((line, index) => [
          Plot.areaY(line, { x: "weight", y1: "low", y2: "high", fill: seriesColour(index), fillOpacity: 0.12 }),
          seriesLine(line, index, { x: "weight", y: "score", marker: "dot" }),
        ]),
        endLabels(
          series.map((line, index) => ({ name: tasks[index]!, index, x: line.at(-1)!.weight, y: line.at(-1)!.score })),
          { y: Plot.scale({ y }), top, bottom: height - bottom },
        ),
      ],
    },
    options,
  );
}
