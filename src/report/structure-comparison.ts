/** Two structures against each other in the terminal: overlaps, and a grid of what moved. */
import type { Structure } from "../experiment/records.js";
import type { Overlap, StructureComparison } from "../runs/structure-comparison.js";
import { short } from "./numbers.js";
import type { Paint } from "./paint.js";
import { type Column, columnsOf, layerGrid } from "./structure-drawing.js";

/** At most 80 columns wide. */
export function drawComparison(a: Structure, b: Structure, comparison: StructureComparison, paint: Paint): string {
  const title = `${paint.bold("structures")}  a: ${a.method}, ${short(a.parameters.union)} parameters; b: ${b.method}, ${short(b.parameters.union)}`;
  const tasks = Object.entries(comparison.tasks);
  const overlaps = [
    line("candidates", comparison.candidates),
    line("parameters", comparison.parameters),
    ...(tasks.length > 1 ? tasks.map(([task, { parameters }]) => line(`of ${task}`, parameters)) : []),
  ];
  if (comparison.moved.length === 0)
    return [title, overlaps.join("\n"), "every layer and slot has the same size"].join("\n\n");
  const grid = [
    paint.dim("a number is the rank or width of b less that of a, = is the same, . is none"),
    layerGrid(
      Math.max(a.backbone.layers, b.backbone.layers),
      columns(a, b),
      paint,
      (layer, column) => cell(a, b, layer, column, paint),
      "no change of",
    ),
  ];
  return [title, overlaps.join("\n"), grid.join("\n")].join("\n\n");
}

function line(what: string, { both, onlyA, onlyB, jaccard }: Overlap): string {
  const shares = `${short(both)} in both, ${short(onlyA)} only in a, ${short(onlyB)} only in b`;
  return `${what.padEnd(12)} overlap ${jaccard.toFixed(2)}: ${shares}`;
}

/** The columns of both structures, each once. */
function columns(a: Structure, b: Structure): Column[] {
  const seen = new Map([...columnsOf(a), ...columnsOf(b)].map((column) => [`${column.slot}/${column.kind}`, column]));
  return [...seen.values()];
}

function cell(a: Structure, b: Structure, layer: number, { slot, kind }: Column, paint: Paint) {
  const [ofA, ofB] = [a, b].map(({ candidates }) =>
    candidates
      .filter((candidate) => candidate.layer === layer && candidate.slot === slot && candidate.kind === kind)
      .reduce((sum, candidate) => sum + candidate.size, 0),
  ) as [number, number];
  if (ofA === ofB) return { text: ofA === 0 ? "." : "=", paint: paint.dim, tells: false };
  const moved =
    ofB > ofA ? { text: `+${ofB - ofA}`, paint: paint.good } : { text: String(ofB - ofA), paint: paint.bad };
  return { ...moved, tells: true };
}
