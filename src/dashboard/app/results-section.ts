/** Scores and comparisons, a part a task; before the run has ended, the scores of the trials that have. */
import { html, nothing, type TemplateResult } from "lit-html";
import { comparisonEffects, scoreAgainst } from "../../charts/index.js";
import { points } from "../../report/numbers.js";
import { evidenceTables } from "../../report/tables/evidence.js";
import { resultTables, type Table } from "../../report/tables/results.js";
import type { RunDetail } from "../data.js";
import { figure } from "./parts.js";

export function resultsSection(detail: RunDetail): TemplateResult {
  const { record } = detail;
  return html`${record === null ? nothing : resultTables(record).map((table) => taskPart(table, record))}
  ${record === null ? nothing : evidenceTables(record).map(({ table, legend }) => html`<h3>${table.name}</h3>${tableOf(table)}${legend === undefined ? nothing : html`<p class="quiet">${legend.replaceAll("\n", " ")}.</p>`}`)}
  ${record === null ? trialTable(detail) : html`<details><summary>Every trial</summary>${trialTable(detail)}</details>`}`;
}

function taskPart(table: Table, { rows, comparisons }: NonNullable<RunDetail["record"]>): TemplateResult {
  const task = table.name;
  return html`<h3>${task}</h3>
    ${tableOf(table)}
    <div class="figures small">
      ${figure("The answer against each rival.", "A dot is the difference, its line the 95% interval; right of zero the answer is better.", [comparisons, task], (options) => comparisonEffects(comparisons, { ...options, task }))}
      ${figure("Score against parameters.", "Lines are 95% intervals over seeds; nothing beats the frontier at its cost.", [rows, task], (options) => scoreAgainst(rows, { ...options, task }))}
      ${figure("Score against step time.", "The measured time of one step of the fit.", [rows, task], (options) => scoreAgainst(rows, { ...options, task, by: "stepMs" }))}
    </div>`;
}

function tableOf({ caption, head, align, rows }: Pick<Table, "caption" | "head" | "align" | "rows">): TemplateResult {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption>${caption}</caption>
    <thead><tr>${head.map((text, at) => html`<th scope="col" class=${align[at]!}>${text}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((text, at) => html`<td class=${align[at]!}>${text}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

/** The trials that have begun, and how many have not. */
function trialTable({ plan, progress, results }: RunDetail): TemplateResult {
  const tasks = plan.tasks.map((task) => task.name);
  const begun = plan.trials.filter(
    ({ id }) => id in progress.finished || id in progress.failed || id in results || id === progress.now?.trial,
  );
  const waiting = plan.trials.length - begun.length;
  const rows = begun.map(({ id }) => {
    const scores = progress.finished[id];
    const error = progress.failed[id] ?? results[id]?.error;
    const state = scores
      ? "done"
      : error
        ? `failed: ${error}`
        : progress.now?.trial === id
          ? progress.now.stage
          : "done";
    return [id, ...tasks.map((task) => (scores?.[task] === undefined ? "\u2013" : points(scores[task]))), state];
  });
  const table = tableOf({
    caption: "scores x 100 of single trials",
    head: ["trial", ...tasks, "state"],
    align: ["left", ...tasks.map(() => "right" as const), "left"],
    rows,
  });
  return html`${rows.length === 0 ? nothing : table}
    ${waiting === 0 ? nothing : html`<p class="quiet">${waiting} of ${plan.trials.length} trials have not begun.</p>`}`;
}
