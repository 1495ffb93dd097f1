/** The table of a run: one part a task, one line a method, in at most 80 columns. */
import type { Comparison, ResultRow, RunRecord } from "../experiment/records.js";
import { duration, percent, points, short, toNumber } from "./numbers.js";
import { markedMethod, overBudgetNotes } from "./over-budget.js";
import type { Paint } from "./paint.js";
import { plainTable } from "./plain-table.js";

const titles = ["method", "score", "95% interval", "params", "step", "time", "answer against it"];

/** One table a task, each under a title that names metric, split and number of seeds. */
export function resultsTable(record: Pick<RunRecord, "rows" | "comparisons">, paint: Paint): string {
  const tasks = [...new Set(record.rows.map((row) => row.task))];
  return tasks.map((task) => taskTable(task, record, paint)).join("\n\n");
}

function taskTable(task: string, record: Pick<RunRecord, "rows" | "comparisons">, paint: Paint): string {
  const rows = record.rows.filter((row) => row.task === task);
  const [answer] = rows;
  if (answer === undefined) return "";
  const align = ["left", "right", "right", "right", "right", "right", "left"] as const;
  const lines = rows.map((row) => {
    const comparison = record.comparisons.find((entry) => entry.task === task && entry.b === row.method);
    return line(row, row === answer, comparison, paint);
  });
  // A method that failed at some seeds has fewer than its rivals.
  const count = Math.max(...rows.map((row) => row.seeds));
  const seeds = `${count} ${count === 1 ? "seed" : "seeds"}`;
  const title = `${paint.bold(task)}  ${answer.metric} x 100 on ${answer.split}, ${seeds}`;
  return `${title}\n${plainTable(titles, align, lines)}`;
}

function line(row: ResultRow, isAnswer: boolean, comparison: Comparison | undefined, paint: Paint): string[] {
  const seconds = row.seconds.search + row.seconds.fit;
  const failed = row.failed > 0 ? ` (${row.failed} failed)` : "";
  return [
    isAnswer ? paint.bold(markedMethod(row)) : markedMethod(row),
    row.mean === null ? "-" : points(row.mean),
    row.ci95 === null ? "-" : `${points(row.ci95[0])} to ${points(row.ci95[1])}`,
    row.mean === null ? "-" : short(row.parameters.task),
    row.stepMs.measured === null ? "-" : `${row.stepMs.measured.toFixed(0)} ms`,
    row.mean === null ? "-" : duration(seconds),
    (isAnswer ? "the answer" : verdictText(comparison, paint)) + failed,
  ];
}

function verdictText(comparison: Comparison | undefined, paint: Paint): string {
  if (comparison === undefined) return "-";
  const difference = toNumber(comparison.difference);
  const signed = `${difference >= 0 ? "+" : "-"}${points(Math.abs(difference))}`;
  switch (comparison.verdict) {
    case "better":
      return paint.good(`better ${signed}`);
    case "worse":
      return paint.bad(`worse ${signed}`);
    default:
      return paint.dim(`no difference ${signed}`);
  }
}

/** What the table means, in the words of this run. */
export function resultsLegend(record: Pick<RunRecord, "rows" | "comparisons">): string {
  const union = record.rows[0]?.parameters;
  const all =
    union === undefined || union.union === 0
      ? ""
      : ` (all tasks: ${short(union.union)}, ${percent(union.fraction)} of the backbone)`;
  return [
    `params: those the task uses${all}`,
    "step: median of the fit; time: search and fit of one seed",
    "answer against it: score of the answer less that of the row, paired by seed and",
    'item, Holm-corrected; "no difference": cannot be told apart',
    ...overBudgetNotes(record.rows).map((note) => `* ${note}`),
  ].join("\n");
}
