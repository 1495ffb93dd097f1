/** Scores, what they cost, and the comparisons: a part a task. */
import { html } from "hono/html";
import { comparisonEffects, scoreAgainst } from "../../charts/index.js";
import type { WholeRun } from "../../runs/whole.js";
import { evidenceTables } from "../tables/evidence.js";
import { resultTables, type Table } from "../tables/results.js";
import { figure, type Html } from "./figure.js";

export function resultsSection({ record }: WholeRun): Html {
  if (record === undefined || record.rows.length === 0) return html``;
  const { rows, comparisons } = record;
  return html`<section><h2>Results</h2>
${resultTables(record).map(
  (table) => html`<h3>${table.name}</h3>
${tableOf(table)}
<div class="figures">
${figure("The answer against each rival.", "A dot is the difference in points, its line the 95% interval; right of zero the answer is better.", (options) => comparisonEffects(comparisons, { ...options, task: table.name }))}
${figure("Score against parameters.", "Lines are 95% intervals over seeds; dots of equal cost stand side by side. Nothing beats the methods on the frontier at their cost.", (options) => scoreAgainst(rows, { ...options, task: table.name }))}
${figure("Score against step time.", "The measured time of one step of the fit.", (options) => scoreAgainst(rows, { ...options, task: table.name, by: "stepMs" }))}
</div>`,
)}
${evidenceTables(record).map(
  ({ table, legend }) => html`<h3>${title(table.name)}</h3>
${tableOf(table)}
${legend === undefined ? "" : html`<p class="note">${legend.replaceAll("\n", " ")}.</p>`}`,
)}
<p class="note">Parameters are those that the task uses. Time is search and fit of one seed. Comparisons are paired by seed and by item and Holm-corrected; \u201cno difference\u201d means that the two cannot be told apart.</p>
</section>`;
}

function title(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function tableOf({ caption, head, align, rows }: Table): Html {
  return html`<div class="scroll" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${head.map((text, column) => html`<th scope="col" class="${align[column]}">${text}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((text, column) => html`<td class="${align[column]}">${text}</td>`)}</tr>`)}</tbody>
</table></div>`;
}
