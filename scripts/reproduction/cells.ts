/** Cells of the scripts' tables. */
import type { ResultRow, RunRecord } from "../../src/index.js";
import { points } from "../../src/report/numbers.js";

export const none = "\u2013";

/** "71.2 (70.1 to 72.3)", score and interval over seeds. */
export function score(row: ResultRow | undefined): string {
  if (row === undefined || row.mean === null) return none;
  return row.ci95 === null
    ? points(row.mean)
    : `${points(row.mean)} (${points(row.ci95[0])} to ${points(row.ci95[1])})`;
}

export function rowOf({ rows }: Pick<RunRecord, "rows">, method: string, task: string): ResultRow | undefined {
  return rows.find((row) => row.method === method && row.task === task);
}

/** A published number, or what stands for one that is not known. */
export function known(value: number | undefined): string {
  return value === undefined ? none : value.toFixed(1);
}

/** All trained parameters as a share of the backbone. */
export function shareOf(row: ResultRow | undefined): string {
  return row === undefined ? none : `${(100 * row.parameters.fraction).toFixed(2)} %`;
}

/** What a CSV holds of a row, all digits. */
export const rowHeader = ["task", "method", "metric", "split", "seeds", "mean", "ci95_low", "ci95_high"] as const;
export function rowCells(row: ResultRow): unknown[] {
  return [row.task, row.method, row.metric, row.split, row.seeds, row.mean, row.ci95?.[0], row.ci95?.[1]];
}

/** What the runs themselves say should be known: taken-over trials, failures, splits. */
export function recordNotes(records: readonly RunRecord[]): string[] {
  const failed = records.flatMap(({ rows }) =>
    rows.filter((row) => row.failed > 0).map((row) => `${row.method} failed at ${row.failed} of its trials`),
  );
  return [...new Set([...failed, ...records.flatMap(({ warnings }) => warnings)])];
}
