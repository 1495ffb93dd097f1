/**
 * The paper's main table: accuracy against trained parameters on MNLI and BoolQ, of full fine-tuning, LoRA, prefix tuning,
 * AdapterFusion, and a learned structure, ours by default and in the paper's preset.
 *
 *     npx jiti scripts/reproduce-table-main.ts --scale small --data ../shared/data
 */
import { scoreAgainst } from "../src/charts/index.js";
import { carryOut, script } from "./reproduction/carry-out.js";
import { known, none, recordNotes, rowCells, rowHeader, rowOf, score, shareOf } from "./reproduction/cells.js";
import { labelOf, mainExperiment, published } from "./reproduction/experiments.js";
import { readOptions } from "./reproduction/options.js";
import { publish } from "./reproduction/publish.js";
import { mainTable, type PublishedRow } from "./reproduction/published.js";
import { areNamedTasks } from "./reproduction/settings.js";

await script(async () => {
  const options = readOptions("reproduce-table-main", "The paper's main table: accuracy against trained parameters.");
  const experiment = mainExperiment(options);
  const record = await carryOut(experiment, options);
  const tasks = experiment.tasks.map(({ name }) => name);
  const theirs = (method: string, task: string): number | undefined => {
    const row: PublishedRow | undefined = mainTable[published[method as keyof typeof published] ?? ""];
    return areNamedTasks(options) ? row?.[task as "mnli" | "boolq"] : undefined;
  };
  const methods = [...new Set(record.rows.map((row) => row.method))];
  const answer = record.rows[0]!.method;
  const against = (method: string, task: string) =>
    record.comparisons.find((entry) => entry.b === method && entry.task === task);
  await publish(options, {
    title: "Accuracy against trained parameters",
    tables: [
      {
        name: "main table",
        caption: `accuracy x 100 with its 95 % interval, ${options.seeds} seeds, beside the published one`,
        head: ["method", "parameters", "published", ...tasks.flatMap((task) => [task, "published"])],
        align: ["left", "right", "right", ...tasks.flatMap(() => ["right", "right"] as const)],
        rows: methods.map((method) => [
          labelOf(method),
          shareOf(rowOf(record, method, tasks[0]!)),
          percentOf(method),
          ...tasks.flatMap((task) => [score(rowOf(record, method, task)), known(theirs(method, task))]),
        ]),
      },
      {
        name: "comparisons",
        caption: `${labelOf(answer)} less each rival, paired by seed and item, Holm-corrected`,
        head: ["rival", ...tasks],
        align: ["left", ...tasks.map(() => "left" as const)],
        rows: methods.slice(1).map((method) => [
          labelOf(method),
          ...tasks.map((task) => {
            const found = against(method, task);
            if (found === undefined) return none;
            const [low, high] = found.ci95.map((end) => (100 * Number(end)).toFixed(1));
            return `${(100 * Number(found.difference)).toFixed(1)} (${low} to ${high}), ${found.verdict}`;
          }),
        ]),
      },
    ],
    csv: {
      header: [...rowHeader, "parameters_union", "parameters_fraction", "published"],
      rows: record.rows.map((row) => [
        ...rowCells(row),
        row.parameters.union,
        row.parameters.fraction,
        theirs(row.method, row.task),
      ]),
    },
    figures: Object.fromEntries(tasks.map((task) => [task, (drawn) => scoreAgainst(record.rows, { ...drawn, task })])),
    notes: [
      "not comparable: both tasks are trained together in one model by every method, full fine-tuning included",
      "AdapterFusion holds a bottleneck for each of the two tasks",
      ...recordNotes([record]),
    ],
  });
});

function percentOf(method: string): string {
  const row = mainTable[published[method as keyof typeof published] ?? ""];
  return row === undefined ? none : `${row.parameters} %`;
}
