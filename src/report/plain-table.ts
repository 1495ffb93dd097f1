/** A plain table in the terminal: columns stand apart by spaces. */
import Table from "cli-table3";
import { plainLines } from "./plain-lines.js";
import type { Table as PlainTable } from "./tables/results.js";

/** Dashes and minus signs are plain ones, as all that the terminal shows; the columns `without` are left out. */
export function terminalTable({ head, align, rows }: PlainTable, without: readonly string[] = []): string {
  const shown = <Item>(cells: readonly Item[]) => cells.filter((_, column) => !without.includes(head[column]!));
  const table = new Table({
    head: shown(head),
    chars: plainLines,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 2 },
    colAligns: shown(align),
  });
  for (const row of rows) table.push(shown(row).map((text) => text.replaceAll(/[\u2013\u2212]/g, "-")));
  return table
    .toString()
    .split("\n")
    .map((text) => text.trimEnd())
    .join("\n");
}
