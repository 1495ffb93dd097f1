/** The learned structure: the answer's maps, how its gates came to them, and whether other seeds found the same. */
import { html } from "hono/html";
import { chosenCells, gateCells, type MapView, overlaps, structureMap, structureOverlap } from "../../charts/index.js";
import type { Gates } from "../../runs/gates.js";
import type { WholeRun } from "../../runs/whole.js";
import { figure, type Html } from "./figure.js";

export function structureSection(run: WholeRun): Html {
  const { plan, structures, gates } = run;
  const trials = plan.trials.filter((trial) => trial.method === plan.methods[0]!.name && structures[trial.id]);
  const [first] = trials;
  if (first === undefined) return searchUnderWay(run);
  const structure = structures[first.id]!;
  if (structure.candidates.length === 0) return html``;
  const history = gates[first.id];
  const found = Object.fromEntries(trials.map((trial) => [nameOf(trial), structures[trial.id]!]));
  return html`<section><h2>Structure</h2>
<p>Of ${first.method}, seed ${String(first.seed)}. A cell is a layer and a slot; the number is the rank or width chosen there, and a full cell has all that was offered. Where there are more columns than stand in a row, those of which nothing is used are left out.</p>
<div class="figures">
${viewsOf(structure.tasks).map(([title, view]) => figure(title, "", (options) => structureMap(chosenCells(structure, view), { ...options, name: title })))}
</div>
${
  history === undefined
    ? ""
    : html`<h3>How the gates came to it</h3>
<p>The share of each place that is open: at first, half way, and at the end of the search, for the task that wants it most.</p>
${momentsOfSearch(history)}`
}
<h3>Do other seeds find it too?</h3>
<div class="figures">
${figure("Overlap.", "The parameters that both seeds chose, of those that either chose.", (options) => structureOverlap(overlaps(found), options))}
</div></section>`;

  function nameOf(trial: (typeof trials)[0]): string {
    return plan.trials.some((other) => other.method === trial.method && other.draw !== trial.draw)
      ? `draw ${trial.draw}, seed ${trial.seed}`
      : `seed ${trial.seed}`;
  }
}

/** Before anything is chosen: the gates of the first search as far as it has come. */
function searchUnderWay({ plan, gates }: WholeRun): Html {
  const trial = plan.trials.find(({ id }) => gates[id] !== undefined);
  if (trial === undefined) return html``;
  const history = gates[trial.id]!;
  const last = history.steps.length - 1;
  return html`<section><h2>Structure</h2>
<p>The search of ${trial.method}, seed ${String(trial.seed)}, has not ended. A cell is a layer and a slot; the number is the share of it that was open at step ${String(history.steps[last])}.</p>
<div class="figures">
${viewsOf(history.tasks).map(([title, view]) => figure(title, "", (options) => structureMap(gateCells(history, last, view), { ...options, name: title })))}
</div>
<h3>How the gates came to it</h3>
<p>The share of each place that is open: at first, half way, and now, for the task that wants it most.</p>
${momentsOfSearch(history)}</section>`;
}

function momentsOfSearch(history: Gates): Html {
  const { steps } = history;
  const moments = new Set([0, Math.floor((steps.length - 1) / 2), steps.length - 1]);
  return html`<div class="figures">${[...moments].map((index) => figure(`Step ${steps[index]}.`, "", (options) => structureMap(gateCells(history, index), { ...options, name: `gates at step ${steps[index]}` })))}</div>`;
}

/** One map for all tasks; where there are several, also one a task and one for what they share. */
function viewsOf(tasks: readonly string[]): [string, MapView][] {
  if (tasks.length === 1) return [[tasks[0]!, "union"]];
  return [
    ["All that any task uses.", "union"],
    ...tasks.map((task): [string, MapView] => [`Only what ${task} uses.`, { task }]),
    ["What all tasks share.", "shared"],
  ];
}
