/** What came out, in sentences. */
import { html } from "hono/html";
import type { Comparison } from "../../experiment/records.js";
import type { WholeRun } from "../../runs/whole.js";
import { duration, percent, points, short } from "../numbers.js";
import { comparisonWith } from "../tables/results.js";
import type { Html } from "./figure.js";

export function summary({ name, plan, record, results }: WholeRun): Html {
  if (record === undefined) {
    const ended = Object.keys(results).length;
    return html`<p>The run <code>${name}</code> has not ended: ${ended} of its ${plan.trials.length} trials have.</p>`;
  }
  const answers = plan.tasks.flatMap((task) => record.rows.filter((row) => row.task === task.name).slice(0, 1));
  return html`<p>Run <code>${name}</code>, ${record.status} in ${duration(record.seconds)}, ${String(plan.seeds.length)} ${plan.seeds.length === 1 ? "seed" : "seeds"}.</p>
${answers.map((row) => {
  const rivals = record.rows.filter((other) => other.task === row.task && other.method !== row.method);
  const comparisons = rivals.flatMap((rival) => comparisonWith(rival, record.comparisons) ?? []);
  if (row.mean === null) return html`<p><b>${row.task}</b>: every trial of ${row.method} failed.</p>`;
  const interval = row.ci95 === null ? "" : ` (95% interval ${points(row.ci95[0])} to ${points(row.ci95[1])})`;
  return html`<p><b>${row.task}</b>: ${row.method} reaches ${row.metric} x 100 of ${points(row.mean)}${interval} with ${short(row.parameters.task)} parameters, ${percent(row.parameters.fraction)} of the backbone for all tasks. ${sentence(comparisons)}</p>`;
})}`;
}

function sentence(comparisons: readonly Comparison[]): string {
  const named = (verdict: Comparison["verdict"]) =>
    comparisons.filter((entry) => entry.verdict === verdict).map((entry) => entry.b);
  const parts = [
    ["It is better than", named("better")],
    ["It is worse than", named("worse")],
    ["It cannot be told apart from", named("cannot be told apart")],
  ] as const;
  return parts
    .filter(([, names]) => names.length > 0)
    .map(([words, names]) => `${words} ${listed(names)}.`)
    .join(" ");
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
