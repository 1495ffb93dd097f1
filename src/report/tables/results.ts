/** The results of a run as plain tables, one a task: what Markdown, LaTeX and HTML print. */
import type { Comparison, OverTasks, ResultRow, RunRecord } from "../../experiment/records.js";
import { duration, points, short, signedPoints, toNumber } from "../numbers.js";
import { markedMethod, overBudgetNotes } from "../over-budget.js";

export interface Table {
  /** The task. */
  name: string;
  /** What the numbers are. */
  caption: string;
  head: readonly string[];
  /** How each column is set; text left, numbers right. */
  align: readonly ("left" | "right")[];
  /** The first is the answer. */
  rows: readonly (readonly string[])[];
}

const head = ["method", "score", "95% interval", "parameters", "ms a step", "time", "answer against it"] as const;
const align = ["left", "right", "right", "right", "right", "right", "left"] as const;

/** A row or comparison of one task, or of the means over all. */
type Row = ResultRow | OverTasks["rows"][number];
type Compared = Comparison | OverTasks["comparisons"][number];

export function resultTables({ rows, comparisons }: Pick<RunRecord, "rows" | "comparisons">): Table[] {
  const tasks = [...new Set(rows.map((row) => row.task))];
  return tasks.map((task) => {
    const own = rows.filter((row) => row.task === task);
    return resultsTableOf(task, `${own[0]!.metric} x 100 on ${own[0]!.split}`, own, comparisons);
  });
}

/** One line a row, the answer's first; `caption` says what a score is. */
export function resultsTableOf(
  name: string,
  caption: string,
  rows: readonly Row[],
  comparisons: readonly Compared[],
): Table {
  const seeds = Math.max(...rows.map((row) => row.seeds));
  return {
    name,
    caption: [
      `${caption}, ${seeds} ${seeds === 1 ? "seed" : "seeds"}`,
      ...overBudgetNotes(rows).map((note) => `* ${note}`),
    ].join("; "),
    head,
    align,
    rows: rows.map((row, index) => line(row, index === 0, comparisonWith(row, comparisons))),
  };
}

/** The answer against the method of `row`, on its task. */
export function comparisonWith<Any extends Compared>(row: Row, comparisons: readonly Any[]): Any | undefined {
  return comparisons.find((entry) => entry.task === row.task && entry.b === row.method);
}

function line(row: Row, isAnswer: boolean, comparison: Compared | undefined): string[] {
  const failed = row.failed > 0 ? ` (${row.failed} failed)` : "";
  if (row.mean === null) return [row.method, "\u2013", "\u2013", "\u2013", "\u2013", "\u2013", `\u2013${failed}`];
  return [
    markedMethod(row),
    points(row.mean),
    row.ci95 === null ? "\u2013" : `${points(row.ci95[0])} to ${points(row.ci95[1])}`,
    short(row.parameters.task),
    row.stepMs.measured === null ? "\u2013" : row.stepMs.measured.toFixed(0),
    duration(row.seconds.search + row.seconds.fit),
    (isAnswer ? "the answer" : verdict(comparison)) + failed,
  ];
}

function verdict(comparison: Compared | undefined): string {
  if (comparison === undefined) return "\u2013";
  const signed = signedPoints(toNumber(comparison.difference));
  const word = comparison.verdict === "cannot be told apart" ? "no difference" : comparison.verdict;
  return `${word} ${signed}`;
}
