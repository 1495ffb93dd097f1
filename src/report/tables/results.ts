/** The results of a run as plain tables, one a task: what Markdown, LaTeX and HTML print. */
import type { Comparison, ResultRow, RunRecord } from "../../experiment/records.js";
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

export function resultTables({ rows, comparisons }: Pick<RunRecord, "rows" | "comparisons">): Table[] {
  const tasks = [...new Set(rows.map((row) => row.task))];
  return tasks.map((task) => {
    const own = rows.filter((row) => row.task === task);
    const seeds = Math.max(...own.map((row) => row.seeds));
    return {
      name: task,
      caption: [
        `${own[0]!.metric} x 100 on ${own[0]!.split}, ${seeds} ${seeds === 1 ? "seed" : "seeds"}`,
        ...overBudgetNotes(own).map((note) => `* ${note}`),
      ].join("; "),
      head,
      align,
      rows: own.map((row, index) => line(row, index === 0, comparisonWith(row, comparisons))),
    };
  });
}

/** The answer against the method of `row`, on its task. */
export function comparisonWith(row: ResultRow, comparisons: readonly Comparison[]): Comparison | undefined {
  return comparisons.find((entry) => entry.task === row.task && entry.b === row.method);
}

function line(row: ResultRow, isAnswer: boolean, comparison: Comparison | undefined): string[] {
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

function verdict(comparison: Comparison | undefined): string {
  if (comparison === undefined) return "\u2013";
  const signed = signedPoints(toNumber(comparison.difference));
  const word = comparison.verdict === "cannot be told apart" ? "no difference" : comparison.verdict;
  return `${word} ${signed}`;
}
