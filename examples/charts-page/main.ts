/**
 * A page of one's own on a finished run, with Espalier's figures:
 *
 *     RUN=runs/<name of a run> npx vite examples/charts-page
 *
 * The files of the run directory are fetched as they are; the figures take the records in them.
 */
import type { Plan, RunRecord, Structure } from "espalier";
import { chosenCells, comparisonEffects, type FigureOptions, scoreAgainst, structureMap } from "espalier/charts";

const figures = document.querySelector("#figures")!;
const read = async <Record>(file: string): Promise<Record> => (await fetch(`/${file}`)).json();

const [plan, record] = await Promise.all([read<Plan>("plan.json"), read<RunRecord>("record.json")]);
const answer = plan.trials.find((trial) => trial.method === plan.methods[0]!.name)!;
const structure = await read<Structure>(`trials/${answer.id}/structure.json`);
document.querySelector("#name")!.textContent = plan.name;

// Figures have a width in pixels: draw them anew where the column's width changes.
new ResizeObserver(() => draw({ width: figures.clientWidth })).observe(figures);

function draw(options: FigureOptions): void {
  const sections = plan.tasks.flatMap(({ name: task }) => [
    heading(`${task}: score against parameters`),
    scoreAgainst(record.rows, { ...options, task }),
    heading(`${task}: is the answer better?`),
    comparisonEffects(record.comparisons, { ...options, task }),
    heading(`${task}: the structure`),
    structureMap(chosenCells(structure, { task }), options),
  ]);
  figures.replaceChildren(...sections);
}

function heading(text: string): HTMLElement {
  const element = document.createElement("h2");
  element.textContent = text;
  return element;
}
