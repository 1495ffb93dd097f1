/** Losses, the budget being spent, and where the time went. */
import { html, nothing, type TemplateResult } from "lit-html";
import { budgetSpent, secondsByStage, spendingOf, trainingCurves } from "../../charts/index.js";
import { figure } from "./parts.js";
import type { RunState } from "./run-state.js";

export function trainingSection(run: RunState): TemplateResult {
  const { curves, gates, structures } = run;
  const { record, withGates } = run.detail!;
  for (const trial of withGates) void run.wantGates(trial);
  const searches = curves.some((curve) => curve.stage === "search");
  const budget = Object.values(structures)[0]?.budget ?? undefined;
  const spending = () => Object.entries(gates).flatMap(([trial, history]) => spendingOf(trial, history) ?? []);
  return html`<div class="figures">
    ${searches ? figure("Loss during the search.", "A line a trial.", [curves], (options) => trainingCurves(curves, { ...options, stage: "search" })) : nothing}
    ${figure("Loss during the fit.", "A line a trial.", [curves], (options) => trainingCurves(curves, options))}
    ${
      Object.keys(gates).length === 0
        ? nothing
        : figure(
            "The budget being spent.",
            "Parameters that the gates are expected to use, a line a search.",
            [gates, budget],
            (options) => budgetSpent(spending(), { ...options, budget }),
          )
    }
    ${record === null ? nothing : figure("Where the time goes.", "One seed of each method, by stage, on one scale.", [record.rows], (options) => secondsByStage(record.rows, options))}
  </div>`;
}
