/** The results as CSV: a line for each task and method, and for the means over the tasks, all digits kept. */
import type { RunRecord } from "../../experiment/records.js";
import { comparisonWith } from "./results.js";

/** Each line has the answer's comparison against its method; the task of the means over all is empty. */
export function toCsv({ rows, comparisons, overTasks }: Pick<RunRecord, "rows" | "comparisons" | "overTasks">): string {
  const compared = [...comparisons, ...(overTasks?.comparisons ?? [])];
  const lines = [...rows, ...(overTasks?.rows ?? [])].map((row) => {
    const comparison = comparisonWith(row, compared);
    return {
      task: row.task,
      method: row.method,
      metric: row.metric,
      split: row.split,
      seeds: row.seeds,
      failed: row.failed,
      mean: row.mean,
      ci95_low: row.ci95?.[0],
      ci95_high: row.ci95?.[1],
      parameters_task: row.parameters.task,
      parameters_union: row.parameters.union,
      parameters_fraction: row.parameters.fraction,
      step_ms_predicted: row.stepMs.predicted,
      step_ms_measured: row.stepMs.measured,
      seconds_search: row.seconds.search,
      seconds_fit: row.seconds.fit,
      seconds_evaluate: row.seconds.evaluate,
      seconds_tune: row.seconds.tune,
      total_seconds: row.totalSeconds,
      peak_memory_mib: row.peakMemoryMiB,
      memory_mib_predicted: row.memoryMiB?.predicted,
      memory_mib_measured: row.memoryMiB?.measured,
      soft_before_fit: row.softBeforeFit,
      hardened_before_fit: row.hardenedBeforeFit,
      overlap: row.overlap,
      lowest_layer: row.lowestLayer,
      answer_less_this: comparison?.difference,
      difference_ci95_low: comparison?.ci95[0],
      difference_ci95_high: comparison?.ci95[1],
      p_adjusted: comparison?.pAdjusted,
      verdict: comparison?.verdict,
      detectable: comparison?.detectable,
    };
  });
  const [first] = lines;
  if (first === undefined) return "";
  return csvOf(Object.keys(first), lines.map(Object.values));
}

/** Follows RFC 4180, but for lines that end with a line feed alone. What is null or undefined is empty. */
export function csvOf(header: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [header, ...rows].map((cells) => cells.map(cell).join(",")).join("\n");
}

function cell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
