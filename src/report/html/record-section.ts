/** What went wrong, what can be taken away, and what exactly ran. */
import path from "node:path";
import { html } from "hono/html";
import type { WholeRun } from "../../runs/whole.js";
import type { Html } from "./figure.js";

export function recordSection({ plan, record, lock, results }: WholeRun): Html {
  const failures = Object.values(results).filter((result) => result.status === "failed");
  const notes = record?.warnings ?? [];
  const exports = record?.exports ?? [];
  return html`<section><h2>Record</h2>
${notes.length + failures.length === 0 ? "" : html`<ul>${failures.map((result) => html`<li><b>failed: ${result.trial}</b>: ${result.error ?? "for a reason unknown"}</li>`)}${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
${exports.length === 0 ? "" : html`<h3>Adapters</h3><ul>${exports.map((entry) => html`<li>${entry.task ?? "all tasks"}, ${entry.to}: <code>${relative(record!.run, entry.path)}</code>, reloaded; largest difference of the outputs ${entry.maxDifference.toExponential(1)}</li>`)}</ul>`}
<details><summary>Plan</summary><pre tabindex="0">${JSON.stringify(plan, null, 2)}</pre></details>
<details><summary>Versions, device and hashes</summary><pre tabindex="0">${JSON.stringify(lock, null, 2)}</pre></details>
</section>`;
}

/** Inside the run's directory a path is given from there: the directory may have moved since. */
function relative(run: string, file: string): string {
  const short = path.relative(run, file);
  return short.startsWith("..") ? file : short;
}
