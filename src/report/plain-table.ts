/** A plain table in the terminal: columns stand apart by spaces. */
import Table, { type HorizontalAlignment } from "cli-table3";
import type { Table as TableOfRun } from "./tables/results.js";

/** The titles and rows under each other, no line longer than its text. */
export function plainTable(
  head: readonly string[],
  align: readonly HorizontalAlignment[],
  rows: readonly (readonly string[])[],
): string {
  const table = new Table({
    head: [...head],
    chars: noLines,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    colAligns: [...align],
  });
  for (const row of rows) table.push([...row]);
  return table
    .toString()
    .split("\n")
    .map((text) => text.trimEnd())
    .join("\n");
}

/** Dashes and minus signs are plain ones, as all that the terminal shows; the columns `without` are left out. */
export function terminalTable({ head, align, rows }: TableOfRun, without: readonly string[] = []): string {
  const shown = <Item>(cells: readonly Item[]) => cells.filter((_, column) => !without.includes(head[column]!));
  const plain = rows.map((row) => shown(row).map((text) => text.replaceAll(/[\u2013\u2212]/g, "-")));
  return plainTable(shown(head), shown(align), plain);
}

const noLines = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "",
};
