/**
 * The paper's figure of noise injection: scores of fitted models at noise of 0, 5, 10, 15 and 20 %.
 *
 *     npx jiti scripts/reproduce-figure-noise.ts --scale small --data ../shared/data
 */
import { robustnessCurves, robustnessFigures } from "../src/charts/index.js";
import { study } from "../src/index.js";
import { points } from "../src/report/numbers.js";
import { ratioLabel } from "../src/report/robustness-tables.js";
import { carryOut, script, underNoise } from "./reproduction/carry-out.js";
import { none, recordNotes } from "./reproduction/cells.js";
import { labelOf, noiseExperiment } from "./reproduction/experiments.js";
import { type Options, readOptions } from "./reproduction/options.js";
import { publish } from "./reproduction/publish.js";
import { noiseFigure } from "./reproduction/published.js";

/** Evaluation rows a task, so that so many evaluations end in time; undefined: all. */
const rows: Record<Options["scale"], number | undefined> = {
  smoke: 16,
  small: 100,
  medium: 100,
  paper: undefined,
};

await script(async () => {
  const options = readOptions("reproduce-figure-noise", "The paper's figure of noise injection.");
  const { clean, noise } = study.sensitivity(noiseExperiment(options));
  const record = await carryOut(clean, options);
  const limit = rows[options.scale];
  const card = await underNoise(record, { ...noise, ...(limit === undefined ? {} : { rows: limit }) });
  const figures = robustnessFigures(card);
  await publish(options, {
    title: "Noise on fitted models",
    tables: figures.map(({ task, perturbation }) => ({
      name: `${task}, ${perturbation}`,
      caption: `accuracy x 100, ${options.seeds} seeds; area: mean over the range with its 95 % interval`,
      head: ["method", ...card.ratios.map(ratioLabel), "area"],
      align: ["left", ...card.ratios.map(() => "right" as const), "right"],
      rows: card.curves
        .filter((curve) => curve.task === task && `${curve.perturbation} noise` === perturbation)
        .map((curve) => [
          labelOf(curve.method),
          ...curve.points.map((point) => points(point.mean)),
          `${points(curve.area)}${curve.areaCi95 === null ? "" : ` (${curve.areaCi95.map(points).join(" to ")})`}`,
        ]),
    })),
    csv: {
      header: ["task", "perturbation", "method", "ratio", "mean", "ci95_low", "ci95_high", "area"],
      rows: card.curves.flatMap((curve) =>
        curve.points.map((point) => [
          ...[curve.task, curve.perturbation, curve.method, point.ratio, point.mean],
          ...[point.ci95?.[0], point.ci95?.[1], curve.area],
        ]),
      ),
    },
    figures: Object.fromEntries(
      figures.map(({ task, perturbation, metric, points: drawnPoints }) => [
        `${task}-${perturbation.replace(" ", "-")}`,
        (drawn) =>
          robustnessCurves(
            drawnPoints.map((point) => ({ ...point, method: labelOf(point.method) })),
            { ...drawn, perturbation, metric },
          ),
      ]),
    ),
    notes: [
      noiseFigure,
      "not comparable: the noise here is ours, on tokens, on each layer's states, and on whole adapters; ratio 0 is no noise",
      ...(card.rows === null ? [] : [`measured on ${card.rows} evaluation rows a task, the same for every method`]),
      ...card.leftOut.map(
        ({ method, perturbation, reason }) => `${labelOf(method)} under ${perturbation} noise ${none}: ${reason}`,
      ),
      ...card.warnings,
      ...recordNotes([record]),
    ],
  });
});
