/** Losses, the budget being spent, and where the time went. */
import { html } from "hono/html";
import { budgetSpent, secondsByStage, spendingOf, trainingCurves } from "../../charts/index.js";
import type { WholeRun } from "../../runs/whole.js";
import { figure, type Html } from "./figure.js";

export function trainingSection({ record, curves, gates, structures }: WholeRun): Html {
  if (curves.length === 0) return html``;
  const spending = Object.entries(gates).flatMap(([trial, history]) => spendingOf(trial, history) ?? []);
  const budget = Object.values(structures)[0]?.budget ?? undefined;
  const searches = curves.some((curve) => curve.stage === "search");
  return html`<section><h2>Training</h2>
<div class="figures">
${searches ? figure("Loss during the search.", "A line a trial.", (options) => trainingCurves(curves, { ...options, stage: "search" })) : ""}
${figure("Loss during the fit.", "A line a trial.", (options) => trainingCurves(curves, options))}
${spending.length === 0 ? "" : figure("The budget being spent.", "Parameters that the gates are expected to use, a line a search.", (options) => budgetSpent(spending, { ...options, budget }))}
${record === undefined ? "" : figure("Where the time goes.", "One seed of each method, by stage, on one scale.", (options) => secondsByStage(record.rows, options))}
</div></section>`;
}
