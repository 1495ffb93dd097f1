/** Training curves: the loss over the steps of one stage, smoothed, a line a trial, named by their methods. */
import * as Plot from "@observablehq/plot";
import type { LossCurve } from "../runs/curves.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { dim, grid } from "./palette.js";
import { endLabels, labelMargin, type SeriesEnd, seriesLine } from "./series.js";

export interface TrainingCurvesOptions extends FigureOptions {
  /** "fit" by default. */
  stage?: "search" | "fit";
}

/**
 * The curves of one stage; those of other stages are left out. A point is the mean of the losses about it, over a twelfth of the
 * curve: batches of several tasks have losses of several sizes. The axis is logarithmic where the means span more than 20 to 1.
 */
export function trainingCurves(curves: readonly LossCurve[], options: TrainingCurvesOptions = {}): SVGSVGElement {
  const { stage = "fit", width = defaultWidth } = options;
  const name = `loss during the ${stage}`;
  const shown = curves
    .filter((curve) => curve.stage === stage && curve.points.length > 0)
    .map((curve) => ({ ...curve, points: smooth(curve.points) }));
  if (shown.length === 0) return emptyFigure(name, `No trial has a ${stage} with a loss yet.`, options);
  const methods = [...new Set(shown.map((curve) => curve.method))];
  const losses = shown.flatMap((curve) => curve.points.map((point) => point.loss));
  const [least, most] = [Math.min(...losses), Math.max(...losses)];
  const logarithmic = least > 0 && most > 20 * least;
  const [height, marginTop, marginBottom] = [260, 24, 36];
  const domain = least === most ? [least - 1, most + 1] : [least, most];
  const y = { type: logarithmic ? "log" : "linear", domain, range: [height - marginBottom, marginTop] } as const;
  const ends = methods.map((method, index): SeriesEnd => {
    const own = shown.filter((curve) => curve.method === method);
    const last = own.map((curve) => curve.points.at(-1)!);
    return {
      name: method,
      index,
      x: Math.max(...last.map((point) => point.step)),
      y: last.reduce((sum, point) => sum + point.loss, 0) / last.length,
    };
  });
  return drawFigure(
    {
      name,
      says: ends.map((end) => `${end.name} ends at a mean loss of ${end.y.toPrecision(3)}`).join("; "),
      height,
      marginTop,
      marginBottom,
      marginLeft: 52,
      marginRight: Math.min(width / 3, labelMargin(methods)),
      x: { label: `${stage} step`, domain: [0, Math.max(...ends.map((end) => end.x), 1)], insetRight: 2 },
      y,
      marks: [
        Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 5 }),
        Plot.axisX({ ticks: Math.min(6, width / 90), labelAnchor: "center", labelArrow: "none", fill: dim }),
        Plot.axisY({
          ticks: 5,
          tickFormat: "~g",
          label: `loss, running mean${logarithmic ? " (log scale)" : ""}`,
          labelArrow: "none",
        }),
        // The first method is the answer: it is drawn last, above the others.
        ...shown.toReversed().map((curve) =>
          seriesLine(curve.points, methods.indexOf(curve.method), {
            x: "step",
            y: "loss",
            strokeOpacity: 0.75,
            title: () => curve.trial,
          }),
        ),
        endLabels(ends, { y: Plot.scale({ y }), top: marginTop, bottom: height - marginBottom }),
      ],
    },
    options,
  );
}

function smooth(points: LossCurve["points"]): LossCurve["points"] {
  const reach = Math.floor(points.length / 24);
  return points.map(({ step }, index) => {
    const near = points.slice(Math.max(0, index - reach), index + reach + 1);
    return { step, loss: near.reduce((sum, point) => sum + point.loss, 0) / near.length };
  });
}
