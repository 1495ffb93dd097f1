/** Two methods of two runs against each other, in the terminal. */
import type { RunComparison } from "../experiment/records.js";
import type { Side } from "../runs/comparable.js";
import { duration, points, short } from "./numbers.js";
import type { Paint } from "./paint.js";
import { terminalTable } from "./plain-table.js";
import { comparisonsLegend, comparisonsTable } from "./tables/evidence.js";

/** Both sides, the comparisons, the verdicts in words, and what differs between the runs. */
export function comparisonLines(
  a: Side,
  b: Side,
  compared: RunComparison,
  differs: readonly string[],
  paint: Paint,
): string {
  const table = comparisonsTable({
    comparisons: compared.comparisons,
    overTasks: { rows: [], comparisons: compared.overTasks },
  });
  const title = `${paint.bold("a less b")}  in points, paired by ${compared.seeds.length} ${compared.seeds.length === 1 ? "seed" : "seeds"} and by item`;
  return [
    [`a  ${a.name}`, ...scores(a), `b  ${b.name}`, ...scores(b)].join("\n"),
    `${title}\n${terminalTable(table!, ["rival", "p"])}`,
    paint.dim(comparisonsLegend),
    ...(differs.length === 0 ? [] : [["what else differs (a / b):", ...differs.map((line) => `  ${line}`)].join("\n")]),
  ].join("\n\n");
}

function scores({ method, record }: Side): string[] {
  return record.rows
    .filter((row) => row.method === method)
    .map((row) => {
      const score =
        row.mean === null ? "every trial failed" : `${row.metric} x 100 on ${row.split} ${points(row.mean)}`;
      const total = row.totalSeconds === null ? "" : `, ${duration(row.totalSeconds)} in all`;
      return `   ${row.task}: ${score}, ${short(row.parameters.task)} parameters${total}`;
    });
}
