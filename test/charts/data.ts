/** The records of one synthetic run, as the figures take them. */
import type { LossCurve } from "../../src/charts/index.js";
import { syntheticRun } from "../fixtures/synthetic-run.js";

export const run = syntheticRun({ steps: 20 });
export const record = run.record!;
export const searched = run.trials.filter((entry) => entry.trial.method === "budgeted");
export const structure = searched[0]!.structure!;
export const curves: LossCurve[] = run.trials.flatMap(({ trial, losses }) =>
  (["search", "fit"] as const).flatMap((stage) => {
    const points = losses.filter((entry) => entry.stage === stage);
    return points.length === 0 ? [] : [{ trial: trial.id, method: trial.method, stage, steps: points.length, points }];
  }),
);
