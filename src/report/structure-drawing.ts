/** A structure as grids, one a kind: one row a layer, the highest on top, one column a slot; a cell tells the size chosen there. */

import type { Structure } from "../experiment/records.js";
import { percent, short } from "./numbers.js";
import type { Paint } from "./paint.js";
import { slotLabel } from "./slots.js";
import { terminalWidth, wrap } from "./wrap.js";

/** What would be too wide for a column of the terminal. */
const narrow: Record<string, string> = {
  attention: "attn",
  "attention.norm": "a.norm",
  "mlp.norm": "m.norm",
};

/** The drawing of `structure`, for all its tasks or for one; at most 80 columns wide. */
export function drawStructure(structure: Structure, paint: Paint, backboneParameters?: number): string {
  const columns = columnsOf(structure);
  const parts = structure.tasks.length > 1 ? [undefined, ...structure.tasks] : [undefined];
  const { union } = structure.parameters;
  const share = backboneParameters === undefined ? "" : `, ${percent(union / backboneParameters)} of the backbone`;
  const allowed = structure.budget === null ? "" : ` of ${short(structure.budget)}`;
  const title = `${paint.bold("learned structure")}  ${structure.method}: ${short(union)}${allowed} parameters${share}`;
  const paths = structure.candidates.some((candidate) => candidate.path > 0);
  const letters = paths ? "; a, b, ... are a site's paths" : "";
  const note = paint.dim(`a number is the rank or width chosen there, . is none${letters}`);
  return [`${title}\n${note}`, ...parts.map((task) => grid(structure, columns, task, paint))].join("\n\n");
}

export interface Column {
  slot: string;
  kind: string;
  title: string;
}

/** The places that the space could use: a slot has a column for each kind that may attach there. */
export function columnsOf(structure: Structure): Column[] {
  const kindsOfSlot = new Map<string, Set<string>>();
  for (const key of Object.keys(structure.backbone.sites)) {
    const [site, kind] = key.split("/") as [string, string];
    const slot = site.split(".").slice(2).join(".");
    kindsOfSlot.set(slot, (kindsOfSlot.get(slot) ?? new Set()).add(kind));
  }
  return structure.backbone.slots.flatMap((slot) =>
    [...(kindsOfSlot.get(slot) ?? [])].map((kind) => ({ slot, kind, title: narrow[slot] ?? slotLabel(slot) })),
  );
}

/** What stands in a cell, before it is padded to its column; `tells`: it is more than that nothing is there. */
export interface Cell {
  text: string;
  paint: (text: string) => string;
  tells: boolean;
}

/**
 * One row a layer, the highest on top, one column a slot. Where several kinds share slots there is a grid a kind, of the layers
 * and slots at which `cell` has something to tell; of the other kinds, only that there is `nothing`.
 */
export function layerGrid(
  layers: number,
  columns: readonly Column[],
  paint: Paint,
  cell: (layer: number, column: Column) => Cell,
  nothing = "nothing of",
): string {
  const levels = Array.from({ length: layers }, (_, index) => layers - 1 - index);
  const kinds = [...new Set(columns.map((column) => column.kind))];
  if (new Set(columns.map((column) => column.title)).size === columns.length)
    return gridOf(levels, columns, paint, cell);
  const grids = kinds.map((kind) => {
    const own = columns.filter((column) => column.kind === kind);
    const rows = levels.filter((layer) => own.some((column) => cell(layer, column).tells));
    const used = own.filter((column) => rows.some((layer) => cell(layer, column).tells));
    return rows.length === 0 ? undefined : `${kind}\n${gridOf(rows, used, paint, cell)}`;
  });
  const without = kinds.filter((_, index) => grids[index] === undefined);
  const rest = without.length === 0 ? [] : [paint.dim(wrap(`${nothing} ${without.join(", ")}`))];
  return [...grids.filter((drawn) => drawn !== undefined), ...rest].join("\n");
}

function gridOf(
  levels: readonly number[],
  columns: readonly Column[],
  paint: Paint,
  cell: (layer: number, column: Column) => Cell,
): string {
  const rows = levels.map((layer) => ({ layer, cells: columns.map((column) => cell(layer, column)) }));
  const texts = [
    ...columns.map((column) => column.title),
    ...rows.flatMap(({ cells }) => cells.map(({ text }) => text)),
  ];
  const width = Math.max(6, ...texts.map((text) => text.length));
  const beside = Math.max(1, Math.floor((terminalWidth - 6) / (width + 1)));
  const parts = Array.from({ length: Math.ceil(columns.length / beside) }, (_, part) => {
    const [from, to] = [part * beside, (part + 1) * beside];
    const titles = columns.slice(from, to).map((column) => column.title.padStart(width));
    return [
      paint.dim(`layer  ${titles.join(" ")}`),
      ...rows.map(({ layer, cells }) => {
        const shown = cells.slice(from, to).map((entry) => entry.paint(entry.text.padStart(width)));
        return `${String(layer).padStart(5)}  ${shown.join(" ")}`;
      }),
    ].join("\n");
  });
  return parts.join("\n");
}

function grid(structure: Structure, columns: readonly Column[], task: string | undefined, paint: Paint): string {
  const chosen = structure.candidates.filter((candidate) => task === undefined || candidate.tasks.includes(task));
  const name =
    task === undefined ? (structure.tasks.length > 1 ? "all tasks" : structure.tasks[0]!) : `only what ${task} uses`;
  const parameters = task === undefined ? structure.parameters.union : structure.parameters.tasks[task]!;
  const mixes = task === undefined ? [] : mixesOf(chosen, task).map((line) => paint.dim(line));
  if (task !== undefined && chosen.length === structure.candidates.length)
    return [`${task} uses all of it, ${short(parameters)} parameters`, ...mixes].join("\n");
  const drawn = layerGrid(structure.backbone.layers, columns, paint, (layer, column) =>
    cell(structure, chosen, layer, column, paint),
  );
  return [`${name}, ${short(parameters)} parameters`, drawn, ...mixes].join("\n");
}

function cell(
  structure: Structure,
  chosen: Structure["candidates"],
  layer: number,
  { slot, kind }: Column,
  paint: Paint,
): Cell {
  if (structure.backbone.sites[`layers.${layer}.${slot}/${kind}`] === undefined)
    return { text: "", paint: paint.dim, tells: false };
  const sizes = new Map<number, number>();
  for (const candidate of chosen) {
    if (candidate.layer !== layer || candidate.slot !== slot || candidate.kind !== kind) continue;
    sizes.set(candidate.path, (sizes.get(candidate.path) ?? 0) + candidate.size);
  }
  if (sizes.size === 0) return { text: ".", paint: paint.dim, tells: false };
  const paths = structure.candidates.some((candidate) => candidate.path > 0);
  const parts = [...sizes].sort(([a], [b]) => a - b).map(([path, size]) => `${size}${paths ? letter(path) : ""}`);
  return { text: parts.join("+"), paint: paint.good, tells: true };
}

/** One line for each site at which the task mixes several paths. */
function mixesOf(chosen: Structure["candidates"], task: string): string[] {
  const shares = new Map<string, Map<number, number>>();
  for (const { site, path, weights } of chosen) {
    if (weights[task] === undefined) continue;
    shares.set(site, (shares.get(site) ?? new Map<number, number>()).set(path, weights[task]));
  }
  return [...shares].map(([site, parts]) => {
    const mix = [...parts].sort(([a], [b]) => a - b).map(([path, share]) => `${share.toFixed(2)} ${letter(path)}`);
    return `${site} mixes ${mix.join(" + ")}`;
  });
}

function letter(path: number): string {
  return String.fromCharCode("a".charCodeAt(0) + path);
}
