/** What stands in the cells of a structure map: sizes that were chosen, or probabilities at one step of a search. */
import type { Structure } from "../experiment/records.js";
import { slotLabel } from "../report/slots.js";
import type { Gates } from "../runs/gates.js";
import { probability } from "./numbers.js";

/** A place that the space could use: a layer, and a slot with a kind that may attach there. */
export interface StructureCell {
  layer: number;
  slot: string;
  kind: string;
  /** How full the cell is, between 0 and 1. */
  strength: number;
  /** What is written into it; empty: nothing. */
  text: string;
  /** All of it in words. */
  title: string;
}

/** One task, everything that any task uses, or only what all tasks share. */
export type MapView = { task: string } | "union" | "shared";

/** The cells of a found structure: the rank or width chosen at each place, of the largest that the space offered there. */
export function chosenCells(structure: Structure, view: MapView = "union"): StructureCell[] {
  const chosen = new Map<string, number>();
  for (const { site, kind, size, tasks } of structure.candidates) {
    if (!isSeen(tasks, structure.tasks, view)) continue;
    const place = `${site}/${kind}`;
    chosen.set(place, (chosen.get(place) ?? 0) + size);
  }
  return Object.entries(structure.backbone.sites).map(([place, largest]) => {
    const { layer, slot, kind } = placeOf(place);
    const size = chosen.get(place) ?? 0;
    const title = `layer ${layer}, ${slotLabel(slot)}, ${kind}: ${size} of ${largest}`;
    return { layer, slot, kind, strength: size / largest, text: size === 0 ? "" : String(size), title };
  });
}

/**
 * The cells of a search at the snapshot `index` of its gates: at each place the share of its ranks or widths that is open, the
 * mean of the candidates' probabilities weighed by their sizes. "union" takes for each candidate the task that wants it most,
 * "shared" the one that wants it least.
 */
export function gateCells(gates: Gates, index: number, view: MapView = "union"): StructureCell[] {
  const rows = gates.values[index] ?? [];
  const places = new Map<string, { layer: number; slot: string; kind: string; open: number; size: number }>();
  for (const [at, { site, layer, slot, kind, size }] of gates.candidates.entries()) {
    const key = `${site}/${kind}`;
    const place = places.get(key) ?? { layer, slot, kind, open: 0, size: 0 };
    place.open += size * seenProbability(rows, gates.tasks, at, view);
    place.size += size;
    places.set(key, place);
  }
  return [...places.values()].map(({ layer, slot, kind, open, size }) => {
    const strength = Math.min(1, Math.max(0, open / size));
    const title = `layer ${layer}, ${slotLabel(slot)}, ${kind}: ${(100 * strength).toFixed(0)}% open`;
    return { layer, slot, kind, strength, text: strength < 0.005 ? "" : probability(strength), title };
  });
}

function isSeen(tasks: readonly string[], all: readonly string[], view: MapView): boolean {
  if (view === "union") return true;
  if (view === "shared") return all.every((task) => tasks.includes(task));
  return tasks.includes(view.task);
}

function seenProbability(
  rows: readonly (readonly number[])[],
  tasks: readonly string[],
  candidate: number,
  view: MapView,
): number {
  if (typeof view === "object") return rows[tasks.indexOf(view.task)]?.[candidate] ?? 0;
  const values = rows.map((row) => row[candidate] ?? 0);
  return view === "union" ? Math.max(...values) : Math.min(...values);
}

/** "layers.3.attention.query/lora" in its parts. */
function placeOf(place: string): { layer: number; slot: string; kind: string } {
  const [site = "", kind = ""] = place.split("/");
  const [, layer = "0", ...slot] = site.split(".");
  return { layer: Number(layer), slot: slot.join("."), kind };
}
