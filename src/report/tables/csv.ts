/** The results as CSV: a line for each task and method, with the answer's comparison against it, all digits kept. */
import type { RunRecord } from "../../experiment/records.js";
import { comparisonWith } from "./results.js";

/** One line a task and method. */
export function toCsv({ rows, comparisons }: Pick<RunRecord, "rows" | "comparisons">): string {
  const lines = rows.map((row) => {
    const comparison = comparisonWith(row, comparisons);
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
      peak_memory_mib: row.peakMemoryMiB,
      memory_mib_predicted: row.memoryMiB?.predicted,
      memory_mib_measured: row.memoryMiB?.measured,
      hardened_before_fit: row.hardenedBeforeFit,
      lowest_layer: row.lowestLayer,
      answer_less_this: comparison?.difference,
      difference_ci95_low: comparison?.ci95[0],
      difference_ci95_high: comparison?.ci95[1],
      p_adjusted: comparison?.pAdjusted,
      verdict: comparison?.verdict,
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
