/** A structure as a grid: one row a layer, the highest on top, one column a slot; a cell tells the size chosen there. */

import type { Structure } from "../experiment/records.js";
import { percent, short } from "./numbers.js";
import type { Paint } from "./paint.js";
import { slotLabel } from "./slots.js";

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

/** What stands in a cell, before it is padded to its column. */
export interface Cell {
  text: string;
  paint: (text: string) => string;
}

/** One row a layer, the highest on top, one column a slot and kind. */
export function layerGrid(
  layers: number,
  columns: readonly Column[],
  paint: Paint,
  cell: (layer: number, column: Column) => Cell,
): string {
  const rows = Array.from({ length: layers }, (_, index) => layers - 1 - index).map((layer) => ({
    layer,
    cells: columns.map((column) => cell(layer, column)),
  }));
  const texts = [
    ...columns.map((column) => column.title),
    ...rows.flatMap(({ cells }) => cells.map(({ text }) => text)),
  ];
  const width = Math.max(6, ...texts.map((text) => text.length));
  return [
    paint.dim(`layer  ${columns.map((column) => column.title.padStart(width)).join(" ")}`),
    ...rows.map(
      ({ layer, cells }) =>
        `${String(layer).padStart(5)}  ${cells.map((entry) => entry.paint(entry.text.padStart(width))).join(" ")}`,
    ),
  ].join("\n");
}

function grid(structure: Structure, columns: readonly Column[], task: string | undefined, paint: Paint): string {
  const chosen = structure.candidates.filter((candidate) => task === undefined || candidate.tasks.includes(task));
  const name =
    task === undefined ? (structure.tasks.length > 1 ? "all tasks" : structure.tasks[0]!) : `only what ${task} uses`;
  const parameters = task === undefined ? structure.parameters.union : structure.parameters.tasks[task]!;
  const drawn = layerGrid(structure.backbone.layers, columns, paint, (layer, column) =>
    cell(structure, chosen, layer, column, paint),
  );
  const mixes = task === undefined ? [] : mixesOf(chosen, task);
  return [`${name}, ${short(parameters)} parameters`, drawn, ...mixes.map((line) => paint.dim(line))].join("\n");
}

function cell(
  structure: Structure,
  chosen: Structure["candidates"],
  layer: number,
  { slot, kind }: Column,
  paint: Paint,
): Cell {
  if (structure.backbone.sites[`layers.${layer}.${slot}/${kind}`] === undefined) return { text: "", paint: paint.dim };
  const sizes = new Map<number, number>();
  for (const candidate of chosen) {
    if (candidate.layer !== layer || candidate.slot !== slot || candidate.kind !== kind) continue;
    sizes.set(candidate.path, (sizes.get(candidate.path) ?? 0) + candidate.size);
  }
  if (sizes.size === 0) return { text: ".", paint: paint.dim };
  const paths = structure.candidates.some((candidate) => candidate.path > 0);
  const parts = [...sizes].sort(([a], [b]) => a - b).map(([path, size]) => `${size}${paths ? letter(path) : ""}`);
  return { text: parts.join("+"), paint: paint.good };
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
