/**
 * Several tasks over one pool: learned rows of gates beside one shared adapter, an adapter a task, random rows, Polytropon and
 * AdapterFusion.
 *
 *     npx jiti scripts/reproduce-multi-task.ts --scale small --data ../shared/data
 */
import { adapters, baselines, budget, defineExperiment, search } from "../src/index.js";
import { toNumber } from "../src/report/numbers.js";
import { carryOut, script } from "./reproduction/carry-out.js";
import { none, recordNotes, rowCells, rowHeader, rowOf, score, shareOf } from "./reproduction/cells.js";
import { readOptions } from "./reproduction/options.js";
import { publish } from "./reproduction/publish.js";
import { backboneFor, tasksNamed, trainingFor, tuneFor } from "./reproduction/settings.js";

const names: Record<string, string> = {
  budgeted: "learned rows over one pool",
  uniform: "one adapter shared by all tasks",
  separate: "an adapter a task, each at its share of the budget",
  random: "random structures",
  polytropon: "Polytropon (PEFT)",
  adapterFusion: "AdapterFusion",
};

await script(async () => {
  const options = readOptions("reproduce-multi-task", "Several tasks over one pool of adapters.");
  const isPaper = options.scale === "paper";
  const experiment = defineExperiment({
    name: "multi-task",
    backbone: backboneFor(options),
    tasks: tasksNamed(["trec", "sst2", "mnli", "ag_news"], options),
    space: { kinds: [adapters.lora({ ranks: [1, 2, 4, 8] })] },
    budget: budget.parameters("0.5%"),
    methods: [
      search.budgeted(),
      baselines.uniform(),
      baselines.separate(),
      baselines.random({ draws: options.seeds }),
      baselines.polytropon({ skills: 2 }),
      baselines.adapterFusion(isPaper ? { size: 12, attention: 4 } : { size: 4, attention: 2 }),
    ],
    training: trainingFor(options),
    ...tuneFor(options),
    seeds: options.seeds,
  });
  const record = await carryOut(experiment, options);
  const tasks = experiment.tasks.map(({ name }) => name);
  const methods = [...new Set(record.rows.map((row) => row.method))];
  await publish(options, {
    title: "Several tasks over one pool",
    tables: [
      {
        name: "multi-task",
        caption: `accuracy x 100 with its 95 % interval, ${options.seeds} seeds; verdict: of ${names.budgeted} against the row`,
        head: ["method", "all tasks' parameters", ...tasks, "mean"],
        align: ["left", "right", ...tasks.map(() => "right" as const), "right"],
        rows: methods.map((method) => {
          const rows = tasks.map((task) => rowOf(record, method, task));
          const scores = rows.flatMap((row) => (row === undefined || row.mean === null ? [] : [toNumber(row.mean)]));
          return [
            names[method] ?? method,
            shareOf(rows[0]),
            ...rows.map((row, place) => score(row) + verdict(method, tasks[place]!)),
            scores.length < tasks.length
              ? none
              : ((100 * scores.reduce((sum, value) => sum + value, 0)) / scores.length).toFixed(1),
          ];
        }),
      },
    ],
    csv: {
      header: [...rowHeader, "parameters_task", "parameters_union"],
      rows: record.rows.map((row) => [...rowCells(row), row.parameters.task, row.parameters.union]),
    },
    notes: [
      "published: no multi-task numbers of the paper are known; its claim is that tasks route over a shared pool",
      "AdapterFusion is sized to about the same budget, not to the published 2.0 %",
      ...recordNotes([record]),
    ],
  });

  function verdict(method: string, task: string): string {
    const found = record.comparisons.find((entry) => entry.b === method && entry.task === task);
    return found === undefined || found.verdict === "cannot be told apart" ? "" : `, ${found.verdict}`;
  }
});
