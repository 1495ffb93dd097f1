/** Methods that no budget limits and that take more than it allows: a mark at their name, and a note that says how much. */
import type { ResultRow } from "../experiment/records.js";
import { short } from "./numbers.js";

type OverBudget = ResultRow["overBudget"][number];
type Row = Pick<ResultRow, "method" | "overBudget">;

/** The method's name, with a star where it is over the budget. */
export function markedMethod(row: Row): string {
  return row.overBudget.length === 0 ? row.method : `${row.method}*`;
}

/** A note for each limit that a method of these rows does not keep. */
export function overBudgetNotes(rows: readonly Row[]): string[] {
  const notes = rows.flatMap(({ method, overBudget }) =>
    overBudget.map((over) => `${method} takes ${taken(over)}; the budget allows ${amount(over.limit, over.allowed)}`),
  );
  // All tasks share a step, so that every task's row says the same.
  return [...new Set(notes)];
}

function taken({ limit, measured }: OverBudget): string {
  const unit = { parameters: " parameters", stepTime: " of a full step", memory: "" }[limit];
  return `${amount(limit, measured)}${unit}`;
}

function amount(limit: OverBudget["limit"], value: number): string {
  switch (limit) {
    case "parameters":
      return short(value);
    case "stepTime":
      return `${(100 * value).toFixed(0)}%`;
    case "memory":
      return `${(value / 2 ** 20).toFixed(0)} MiB`;
  }
}
