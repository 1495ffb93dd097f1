/** What a training step of each method's structure costs, predicted beside measured, in at most 80 columns. */
import type { ResultRow, RunRecord } from "../experiment/records.js";
import { short } from "./numbers.js";
import { plainTable } from "./plain-table.js";

const titles = ["a step of", "params", "lowest layer", "ms", "of full", "MiB"];

/** One line for each method that adapts the backbone by a structure; undefined where none does. */
export function costTable({ rows, fullStepMs }: Pick<RunRecord, "rows" | "fullStepMs">): string | undefined {
  // All tasks share a step, so that one task's rows tell all.
  const shown = rows.filter((row) => row.task === rows[0]?.task && row.stepMs.predicted !== null);
  if (shown.length === 0) return undefined;
  const align = ["left", "right", "right", "right", "right", "right"] as const;
  return plainTable(
    titles,
    align,
    shown.map((row) => line(row, fullStepMs)),
  );
}

function line(row: ResultRow, fullStepMs: number | null): string[] {
  const { predicted, measured } = row.stepMs;
  return [
    row.method,
    short(row.parameters.union),
    row.lowestLayer === null ? "-" : String(Number(row.lowestLayer.toFixed(1))),
    pair(predicted, measured),
    predicted === null || !fullStepMs ? "-" : `${((100 * predicted) / fullStepMs).toFixed(0)}%`,
    row.memoryMiB === null ? "-" : pair(row.memoryMiB.predicted, row.memoryMiB.measured),
  ];
}

function pair(predicted: number | null, measured: number | null): string {
  return [predicted, measured].map((value) => (value === null ? "-" : value.toFixed(0))).join(" / ");
}

/** What the table means. */
export const costLegend = [
  "params: of all tasks together; ms, MiB: predicted / measured, medians over seeds",
  "of full: the predicted share of a step with the whole space adapted",
].join("\n");
