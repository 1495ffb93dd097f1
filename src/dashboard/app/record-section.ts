/** Warnings and failures, adapters to take away, and what exactly ran. */
import { html, nothing, type TemplateResult } from "lit-html";
import { size } from "./parts.js";
import type { RunState } from "./run-state.js";
import { fileAddress, readTail } from "./server.js";

/** The end of the log that is shown. */
const logBytes = 65_536;

export class RecordSection {
  readonly #run: RunState;
  readonly #update: () => void;
  #log: string | undefined;

  constructor(run: RunState, update: () => void) {
    this.#run = run;
    this.#update = update;
  }

  render(): TemplateResult {
    const { name, detail } = this.#run;
    const { progress, record, plan, lock, exports, hasReport, directory } = detail!;
    const address = (file: string) => fileAddress(name, file);
    return html`
      ${Object.entries(progress.failed).map(([trial, error]) => html`<p class="trouble"><b>failed: ${trial}</b>: ${error}</p>`)}
      ${progress.warnings.length === 0 ? nothing : html`<ul>${progress.warnings.map((note) => html`<li>${note.trial === null ? nothing : html`<b>${note.trial}</b>: `}${note.message}</li>`)}</ul>`}
      ${record?.exports.map((entry) => html`<p>The adapter of <b>${entry.task}</b> as ${entry.to} was reloaded; largest difference of the outputs ${entry.maxDifference.toExponential(1)}.</p>`)}
      ${exports.length === 0 ? nothing : html`<ul class="files">${exports.map((file) => html`<li><a href=${address(file.path)}>${file.path}</a> <span class="quiet">${size(file.bytes)}</span></li>`)}</ul>`}
      ${hasReport ? html`<p><a href=${address("report.html")} target="_blank">The report</a>, one file to keep or print.</p>` : nothing}
      <details><summary>Plan</summary><pre tabindex="0">${JSON.stringify(plan, null, 2)}</pre></details>
      <details><summary>Versions, device and hashes</summary><pre tabindex="0">${lock === null ? "Not written yet." : JSON.stringify(lock, null, 2)}</pre></details>
      <details @toggle=${this.#readLog}><summary>Log of Python</summary>
        <p><button @click=${this.#readLog}>Read again</button> <a href=${address("python.log")}>all of it</a></p>
        <pre tabindex="0">${this.#log === "" ? "Python has printed nothing." : (this.#log ?? "reading\u2026")}</pre>
      </details>
      <p class="quiet">${directory}</p>`;
  }

  readonly #readLog = async (): Promise<void> => {
    this.#log = await readTail(this.#run.name, "python.log", logBytes).catch((error: unknown) => String(error));
    this.#update();
  };
}
