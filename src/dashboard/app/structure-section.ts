/** The structure map, with a slider over the steps of the search, and the overlap of what several seeds found. */
import { html, nothing, type TemplateResult } from "lit-html";
import {
  chosenCells,
  gateCells,
  type MapView,
  overlaps,
  type PairOverlap,
  structureMap,
  structureOverlap,
} from "../../charts/index.js";
import type { Structure } from "../../experiment/records.js";
import type { Trial } from "../../experiment/schema/index.js";
import { percent, short } from "../../report/numbers.js";
import type { Gates } from "../../runs/gates.js";
import { figure } from "./parts.js";
import type { RunState } from "./run-state.js";

export class StructureSection {
  readonly #run: RunState;
  readonly #update: () => void;
  /** The trial that is shown; undefined: the first, or of a run under way the last that has searched. */
  #trial: string | undefined;
  /** The snapshot of the gates that is shown; undefined: what was chosen, or the newest of a search under way. */
  #moment: number | undefined;
  /** Of which structures, and how much they have in common. */
  #pairs: { of: string; pairs: PairOverlap[] } = { of: "", pairs: [] };

  constructor(run: RunState, update: () => void) {
    this.#run = run;
    this.#update = update;
  }

  render(): TemplateResult {
    const { detail, structures } = this.#run;
    const { plan, withGates } = detail!;
    const isChosen = ({ id }: Trial) => (structures[id]?.candidates.length ?? 0) > 0;
    const shown = plan.trials.filter((trial) => isChosen(trial) || withGates.includes(trial.id) || this.#gates(trial));
    const newest = detail!.state === "running" ? shown.findLast((trial) => this.#gates(trial)) : undefined;
    const trial = shown.find(({ id }) => id === this.#trial) ?? newest ?? shown[0];
    if (trial === undefined) return html`<p class="quiet">No trial has found a structure yet.</p>`;
    const structure = isChosen(trial) ? structures[trial.id] : undefined;
    const { tasks } = structure ?? { tasks: plan.tasks.map(({ name }) => name) };
    return html`
      <label class="choice">Trial
        <select @change=${this.#chooseTrial}>
          ${shown.map(({ id }) => html`<option value=${id} ?selected=${id === trial.id}>${id}</option>`)}
        </select>
      </label>
      <p>${structure === undefined ? "This search has not ended; its gates are shown as they come." : spent(structure)}
      A cell is a layer and a slot; a full one has all that was offered.</p>
      ${this.#slider(trial, structure)}
      <div class="figures maps">${viewsOf(tasks).map(([title, view]) => this.#map(trial, structure, title, view))}</div>
      ${this.#overlap(
        trial.method,
        shown.filter((other) => other.method === trial.method && isChosen(other)).map(({ id }) => id),
      )}`;
  }

  #gates({ id }: Trial): Gates | undefined {
    return this.#run.gates[id];
  }

  /** The snapshot that the slider stands at; undefined: what was chosen. */
  #momentOf(gates: Gates, structure: Structure | undefined): number | undefined {
    const newest = gates.steps.length - 1;
    if (this.#moment === undefined) return structure === undefined ? newest : undefined;
    return Math.min(this.#moment, newest);
  }

  #map(trial: Trial, structure: Structure | undefined, title: string, view: MapView): TemplateResult | typeof nothing {
    const gates = this.#gates(trial);
    const moment = gates && this.#momentOf(gates, structure);
    const key = typeof view === "object" ? view.task : view;
    if (gates !== undefined && moment !== undefined) {
      const name = `${title} Gates at step ${gates.steps[moment]}`;
      return figure(title, "", [gates, moment, key], (options) =>
        structureMap(gateCells(gates, moment, view), { ...options, name }),
      );
    }
    if (structure === undefined) return nothing;
    return figure(title, "", [structure, key], (options) =>
      structureMap(chosenCells(structure, view), { ...options, name: title }),
    );
  }

  #slider(trial: Trial, structure: Structure | undefined): TemplateResult {
    const gates = this.#gates(trial);
    if (gates === undefined && !this.#run.detail!.withGates.includes(trial.id)) {
      return html`<p class="quiet">This trial learned no gates: the map shows what was chosen.</p>`;
    }
    if (gates === undefined) {
      void this.#run.wantGates(trial.id);
      return html`<p class="quiet">reading the gates…</p>`;
    }
    const last = structure === undefined ? gates.steps.length - 1 : gates.steps.length;
    const moment = this.#momentOf(gates, structure);
    const search = this.#run.curves.find((curve) => curve.trial === trial.id && curve.stage === "search");
    const step = `step ${gates.steps[moment ?? 0]} of ${search?.steps ?? gates.steps.at(-1)! + 1}`;
    const text =
      moment === undefined
        ? "chosen at the end: ranks or widths"
        : `${step}${structure === undefined && moment === last ? ", the newest" : ""}: share that is open`;
    return html`<label class="slider">Search step
      <input type="range" min="0" max=${last} .value=${String(moment ?? last)} aria-valuetext=${text} @input=${this.#slide} />
      <output>${text}</output>
    </label>`;
  }

  #overlap(method: string, trials: readonly string[]): TemplateResult | typeof nothing {
    if (trials.length < 2) return nothing;
    const { structures } = this.#run;
    const of = trials.join();
    if (of !== this.#pairs.of) {
      this.#pairs = {
        of,
        pairs: overlaps(Object.fromEntries(trials.map((id) => [id.slice(method.length + 1), structures[id]!]))),
      };
    }
    const { pairs } = this.#pairs;
    return html`<h3>Do other seeds find it too?</h3><div class="figures">
      ${figure(`Overlap of ${method}.`, "The parameters that both seeds chose, of those that either chose.", [pairs], (options) => structureOverlap(pairs, options))}
    </div>`;
  }

  readonly #chooseTrial = (event: Event): void => {
    this.#trial = (event.target as HTMLSelectElement).value;
    this.#moment = undefined;
    this.#update();
  };

  readonly #slide = (event: Event): void => {
    const input = event.target as HTMLInputElement;
    this.#moment = input.value === input.max ? undefined : Number(input.value);
    this.#update();
  };
}

function viewsOf(tasks: readonly string[]): [string, MapView][] {
  if (tasks.length === 1) return [[`${tasks[0]}.`, "union"]];
  return [
    ["All that any task uses.", "union"],
    ...tasks.map((task): [string, MapView] => [`Only what ${task} uses.`, { task }]),
    ["What all tasks share.", "shared"],
  ];
}

/** What the structure has, of its limit where that is one of parameters. */
function spent({ parameters: { union }, budget }: Structure): string {
  if (budget === null) return `${short(union)} parameters.`;
  return `${short(union)} of ${short(budget)} parameters, ${percent(union / budget)} of the budget.`;
}
