/** What became of a merge, for the terminal. */
import type { Merge } from "../experiment/records.js";
import { relative } from "./export-lines.js";
import { points, short } from "./numbers.js";

/** The merge and what went in, one line a task: its score with its own adapter and with the merged one. */
export function mergeLines(merge: Merge): string {
  const { method, weight, density, parameters, kept, maxDifference, path: folder, tasks } = merge;
  const how =
    density === null
      ? `weight ${Number(weight.toPrecision(3))}`
      : `weight ${Number(weight.toPrecision(3))}, density ${density}`;
  const width = Math.max(...tasks.map(({ name }) => name.length));
  return [
    `${tasks.length} adapters merged by ${method} (${how}), ${short(parameters)} parameters`,
    `(peft, reloaded, largest difference ${maxDifference.toExponential(1)}):`,
    ...(kept > 0.9995 ? [] : [`  the ranks hold ${(100 * kept).toFixed(1)} % of the merged update`]),
    ...tasks.map((task) => `  ${task.name.padEnd(width)}  ${scores(task)}`),
    ...tasks.flatMap(({ name, leftOut }) =>
      leftOut.length === 0 ? [] : [`  ${name}: without ${leftOut.join(", ")}, which no merge holds`],
    ),
    `  ${relative(folder)}`,
  ].join("\n");
}

function scores({ metric, split, own, merged, unread }: Merge["tasks"][number]): string {
  if (unread !== null) return `not scored: ${unread}`;
  const before = own === null ? "" : `, alone ${points(own)}`;
  return `${metric} ${merged === null ? "none" : points(merged)}${before} (${split})`;
}
