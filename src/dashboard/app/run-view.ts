/** One run: where it is, what came out, its structure, its training, and what exactly ran. */
import { html, nothing, type TemplateResult } from "lit-html";
import { duration } from "../../report/numbers.js";
import { secondsLeft } from "../../runs/progress.js";
import type { RunDetail } from "../data.js";
import { ControlBar } from "./control-bar.js";
import { moment, progressBar, stateBadge } from "./parts.js";
import { RecordSection } from "./record-section.js";
import { resultsSection } from "./results-section.js";
import { robustnessSection } from "./robustness-section.js";
import { RunState } from "./run-state.js";
import { StructureSection } from "./structure-section.js";
import { trainingSection } from "./training-section.js";

const sections = ["Results", "Structure", "Robustness", "Training", "Record"] as const;

export class RunView {
  readonly #run: RunState;
  readonly #control: ControlBar;
  readonly #structure: StructureSection;
  readonly #record: RecordSection;

  constructor(name: string, update: () => void) {
    this.#run = new RunState(name, update);
    this.#control = new ControlBar(this.#run, update);
    this.#structure = new StructureSection(this.#run, update);
    this.#record = new RecordSection(this.#run, update);
  }

  get title(): string {
    return this.#run.name;
  }

  close(): void {
    this.#run.close();
  }

  render(): TemplateResult {
    const run = this.#run;
    const { detail } = run;
    if (detail === undefined) {
      return html`<main id="main"><h1>${run.name}</h1>
        ${run.trouble === undefined ? html`<p class="quiet">reading the run…</p>` : html`<p class="trouble" role="alert">${run.trouble}</p>`}
      </main>`;
    }
    return html`<main id="main">
      <h1>${run.name}</h1>
      ${run.isGone ? html`<p class="trouble" role="alert">The run's directory was taken away. What is shown is what was read before.</p>` : nothing}
      ${run.isConnected || run.isGone ? nothing : html`<p class="trouble" role="status">The server does not answer; the page goes on when it does.</p>`}
      ${run.trouble === undefined ? nothing : html`<p class="trouble" role="alert">${run.trouble}</p>`}
      <div class="head">
        ${stateBadge(detail.state)}
        <span class="quiet">${moment(detail.progress.since === undefined ? null : 1000 * detail.progress.since.time)}</span>
        ${run.isGone ? nothing : this.#control.render()}
      </div>
      ${where(detail)}
      <nav aria-label="parts of this run">
        ${sections.filter((name) => name !== "Robustness" || detail.robustness !== null).map((name) => html`<a href="#${name}" @click=${go}>${name}</a>`)}
      </nav>
      <section id="Results"><h2>Results</h2>${resultsSection(detail)}</section>
      <section id="Structure"><h2>Structure</h2>${this.#structure.render()}</section>
      ${detail.robustness === null ? nothing : html`<section id="Robustness"><h2>Robustness</h2>${robustnessSection(detail.robustness)}</section>`}
      <section id="Training"><h2>Training</h2>${trainingSection(run)}</section>
      <section id="Record"><h2>Record</h2>${this.#record.render()}</section>
    </main>`;
  }
}

/** The part is brought into view without leaving the run's own address. */
function go(event: Event): void {
  event.preventDefault();
  const link = event.currentTarget as HTMLAnchorElement;
  document.getElementById(link.hash.slice(1))?.scrollIntoView();
}

/** How far a run under way is; how long one took that has ended. */
function where({ state, progress, record, plan }: RunDetail): TemplateResult {
  const ended = Object.keys(progress.finished).length + Object.keys(progress.failed).length;
  if (state !== "running") {
    const took = record === null ? "" : ` in ${duration(record.seconds)}`;
    return html`<p>${ended} of ${plan.trials.length} trials ended${took}.</p>`;
  }
  const left = secondsLeft(progress);
  const { now } = progress;
  const doing =
    now === undefined
      ? ""
      : `${now.trial ?? ""} ${now.stage}${now.steps === 0 ? "" : `, step ${now.step} of ${now.steps}`}`;
  return html`<div class="where">
    ${progressBar(progress.done, "work done of the whole run")}
    <p><b>${Math.floor(100 * progress.done)}%</b>${left === undefined ? nothing : html`, about <b>${duration(left)}</b> left`}.
    ${doing}. ${ended} of ${plan.trials.length} trials ended.</p>
  </div>`;
}
