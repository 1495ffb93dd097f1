/** The list of runs. */
import { html, nothing, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { duration, points } from "../../report/numbers.js";
import type { RunEntry } from "../data.js";
import { moment, progressBar, stateBadge } from "./parts.js";
import { followRuns } from "./server.js";

export class ListView {
  readonly #update: () => void;
  readonly #stop: () => void;
  #folder = "";
  #runs: RunEntry[] | undefined;
  #connected = true;
  #wanted = "";

  constructor(update: () => void) {
    this.#update = update;
    this.#stop = followRuns(
      ({ folder, changed, gone }) => {
        const runs = new Map((this.#runs ?? []).map((run) => [run.name, run]));
        for (const name of gone) runs.delete(name);
        for (const run of changed) runs.set(run.name, run);
        this.#folder = folder;
        this.#runs = [...runs.values()].sort(
          (a, b) => (b.started ?? 0) - (a.started ?? 0) || (a.name < b.name ? -1 : 1),
        );
        update();
      },
      (is) => {
        this.#connected = is;
        // A new connection begins with the whole list.
        if (!is) this.#runs = this.#runs === undefined ? undefined : [...this.#runs];
        update();
      },
    );
  }

  close(): void {
    this.#stop();
  }

  readonly title = "runs";

  render(): TemplateResult {
    if (this.#runs === undefined) return html`<main><p class="quiet">reading the runs…</p></main>`;
    const wanted = this.#wanted.toLowerCase().split(/\s+/);
    const shown = this.#runs.filter((run) => {
      const text = `${run.name} ${run.state} ${run.tasks.join(" ")} ${run.methods.join(" ")}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    return html`<main id="main">
      <h1>Runs</h1>
      <p class="quiet">${this.#folder}${this.#connected ? nothing : " \u00b7 the server does not answer"}</p>
      ${
        this.#runs.length === 0
          ? html`<p>There is no run yet. <code>espalier quickstart</code> makes the first.</p>`
          : html`<label class="filter">Show only
                <input type="search" placeholder="name, state, task or method" .value=${this.#wanted} @input=${this.#typed} />
              </label>
              <p class="quiet" role="status">${shown.length} of ${this.#runs.length} runs</p>
              <ul class="runs">${repeat(shown, (run) => run.name, entry)}</ul>`
      }
    </main>`;
  }

  readonly #typed = (event: Event): void => {
    this.#wanted = (event.target as HTMLInputElement).value;
    this.#update();
  };
}

function entry(run: RunEntry): TemplateResult {
  return html`<li>
    <a href="#/run/${encodeURIComponent(run.name)}">${run.name}</a>
    ${stateBadge(run.state)}
    <span class="answer">${
      run.done !== null
        ? html`${progressBar(run.done, `work done of ${run.name}`)} ${Math.floor(100 * run.done)}%`
        : run.answer.map(
            ({ task, metric, mean }) => html`<span title="${metric} x 100">${task} <b>${points(mean)}</b></span> `,
          )
    }</span>
    <span class="quiet">${run.answer.length === 0 ? run.tasks.join(", ") : run.methods[0]}</span>
    <span class="quiet when">${moment(run.started)}${run.seconds === null ? nothing : html`, ${duration(run.seconds)}`}</span>
  </li>`;
}
