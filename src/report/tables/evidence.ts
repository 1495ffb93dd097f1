/** What a run proves beside its scores, as plain tables: every comparison, and what the searches kept, lost and cost. */
import type { OverTasks, RunRecord } from "../../experiment/records.js";
import { duration, points, signedPoints, toNumber } from "../numbers.js";
import { resultsTableOf, type Table } from "./results.js";

/** All of them that the run has, each with what its words mean. */
export function evidenceTables(
  record: Pick<RunRecord, "rows" | "comparisons" | "overTasks">,
): { table: Table; legend: string | undefined }[] {
  const found = [
    { table: overTasksTable(record), legend: undefined },
    { table: comparisonsTable(record), legend: comparisonsLegend },
    { table: searchTable(record), legend: searchLegend },
  ];
  return found.flatMap(({ table, legend }) => (table === undefined ? [] : [{ table, legend }]));
}

/** Of every task and over the tasks: the effect with its interval first, then p, then what could have been seen. */
export function comparisonsTable(record: Pick<RunRecord, "comparisons" | "overTasks">): Table | undefined {
  const all = [...record.comparisons, ...(record.overTasks?.comparisons ?? [])];
  const [first] = all;
  if (first === undefined) return undefined;
  return {
    name: "comparisons",
    caption: `score of ${first.a} less score of the rival, in points`,
    head: ["rival", "task", "difference", "95% interval", "p", "adjusted", "could see", "verdict"],
    align: ["left", "left", "right", "right", "right", "right", "right", "left"],
    rows: all.map((entry) => [
      entry.b,
      entry.task ?? allTasks,
      signedPoints(toNumber(entry.difference)),
      `${points(entry.ci95[0])} to ${points(entry.ci95[1])}`,
      probability(entry.p),
      probability(entry.pAdjusted),
      entry.detectable === null ? none : points(entry.detectable),
      entry.verdict === "cannot be told apart" ? "no difference" : entry.verdict,
    ]),
  };
}

export const comparisonsLegend = [
  "adjusted: p, Holm-corrected over all lines; could see: the smallest true",
  "difference that this design finds with probability 0.8, were it the only one",
].join("\n");

/** The means over the tasks, a line a method; undefined with a single task. */
function overTasksTable({ overTasks }: Pick<RunRecord, "overTasks">): Table | undefined {
  const [first] = overTasks?.rows ?? [];
  if (overTasks === null || first === undefined) return undefined;
  const metric = first.metric ?? "each task's metric";
  return resultsTableOf(allTasks, `${metric} x 100, mean over the tasks`, overTasks.rows, overTasks.comparisons);
}

/** Discretisation gap, overlap of the structures across trials, and the whole cost, a line a method. */
function searchTable(record: Pick<RunRecord, "rows" | "overTasks">): Table | undefined {
  const rows: readonly (RunRecord["rows"][number] | OverTasks["rows"][number])[] =
    record.overTasks?.rows ?? record.rows;
  const shown = rows.filter((row) => row.mean !== null && row.totalSeconds !== null);
  if (shown.length === 0) return undefined;
  const score = (value: (typeof rows)[number]["mean"]) => (value === null ? none : points(value));
  return {
    name: "what a search keeps and costs",
    caption: `score x 100${record.overTasks === null ? "" : ", mean over the tasks"}`,
    head: ["method", "soft", "hard", "refitted", "overlap", "tune", "search", "fit", "total"],
    align: ["left", ...Array(8).fill("right")],
    rows: shown.map((row) => [
      row.method,
      score(row.softBeforeFit),
      score(row.hardenedBeforeFit),
      score(row.mean),
      row.overlap === null ? none : row.overlap.toFixed(2),
      row.seconds.tune === 0 ? none : duration(row.seconds.tune),
      duration(row.seconds.search),
      duration(row.seconds.fit),
      duration(row.totalSeconds!),
    ]),
  };
}

const searchLegend = [
  "soft, hard: the searched model under its gates, and cut down to its structure,",
  "before the fit; overlap: parameters that two trials' structures share, of those",
  "that either has; tune: once; search, fit: a trial; total: all of it, evaluated",
].join("\n");

const allTasks = "all tasks";
const none = "\u2013";

function probability(p: number): string {
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}
