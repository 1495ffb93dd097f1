/**
 * What a budget buys: scores, step times predicted and measured, and total time, of a learned structure beside one spread evenly
 * and one of the top layers alone, at budgets in step time and in parameters.
 *
 *     npx jiti scripts/survey-budgets.ts --data ../shared/data
 *
 * --tasks trec,cola   only these     --steps 100   of a fit     --rows 500   evaluated a task     --seeds 3
 * --budgets 25%t,0.5%   only these; t: of step time     --runs DIR   keeps the runs, and goes on with them     --json
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { baselines, budget, defineExperiment, model, search } from "../src/index.js";
import { percent, points, short } from "../src/report/numbers.js";
import { toMarkdown } from "../src/report/tables/markdown.js";
import type { Table } from "../src/report/tables/results.js";
import { carryOut } from "./reproduction/carry-out.js";
import { folderTask } from "./survey/rows.js";

type Share = `${number}%`;

const { values: given } = parseArgs({
  options: {
    data: { type: "string", default: "../shared/data" },
    tasks: { type: "string", default: "trec,cola,mnli,rte,qnli" },
    budgets: { type: "string", default: "25%t,50%t,75%t,0.1%,0.5%,1.4%" },
    steps: { type: "string", default: "100" },
    rows: { type: "string", default: "500" },
    seeds: { type: "string", default: "3" },
    runs: { type: "string", default: "reproduction/runs" },
    json: { type: "boolean", default: false },
  },
});

interface Row {
  task: string;
  budget: string;
  method: string;
  score: number | null;
  ci95: readonly [number, number] | null;
  parameters: number;
  fraction: number;
  stepMs: { predicted: number | null; measured: number | null };
  /** Of one trial: search, fit and evaluation. */
  seconds: number;
  /** Of the learned structure less this one, and what can be said of it; null for the learned structure itself. */
  against: string | null;
}

const rows: Row[] = [];
for (const name of given.tasks.split(",")) {
  for (const share of given.budgets.split(",")) rows.push(...(await survey(name, share)));
}
console.log(given.json ? JSON.stringify({ rows }) : toMarkdown(tables()));

async function survey(name: string, share: string): Promise<Row[]> {
  const inTime = share.endsWith("t");
  const amount = (inTime ? share.slice(0, -1) : share) as Share;
  const experiment = defineExperiment({
    name: `survey-${name}-${amount.replace("%", "")}${inTime ? "-time" : ""}`,
    backbone: model.miniLM(),
    tasks: [
      folderTask(name, {
        data: given.data,
        evaluated: Number(given.rows),
        copies: path.join(given.runs, "survey-rows"),
      }),
    ],
    budget: inTime ? budget.stepTime(amount) : budget.parameters(amount),
    methods: [search.budgeted(), baselines.uniform(), baselines.topLayers()],
    training: { maxSteps: Number(given.steps), batchSize: 16, learningRate: 3e-3, maxLength: 96, threads: 1 },
    seeds: Number(given.seeds),
  });
  const record = await carryOut(experiment, given);
  return record.rows.map((row) => {
    const found = record.comparisons.find((entry) => entry.b === row.method && entry.task === row.task);
    return {
      task: row.task,
      budget: inTime ? `${amount} of step time` : `${amount} of parameters`,
      method: row.method,
      score: row.mean === null ? null : Number(row.mean),
      ci95: row.ci95 === null ? null : [Number(row.ci95[0]), Number(row.ci95[1])],
      parameters: row.parameters.task,
      fraction: row.parameters.fraction,
      stepMs: row.stepMs,
      seconds: row.seconds.search + row.seconds.fit + row.seconds.evaluate,
      against: found === undefined ? null : `${(100 * Number(found.difference)).toFixed(1)}, ${found.verdict}`,
    };
  });
}

/** A table for each task. */
function tables(): Table[] {
  return [...new Set(rows.map((row) => row.task))].map((name) => ({
    name,
    caption: `score x 100, ${given.seeds} seeds, ${given.steps} steps a fit; the learned structure less the row's`,
    head: [
      "budget",
      "structure",
      "score",
      "95% interval",
      "learned less this",
      "parameters",
      "step ms, predicted",
      "s a trial",
    ],
    align: ["left", "left", "right", "right", "left", "right", "right", "right"],
    rows: rows
      .filter((row) => row.task === name)
      .map((row) => [
        row.budget,
        row.method,
        row.score === null ? "failed" : points(row.score),
        row.ci95 === null ? "" : row.ci95.map((value) => points(value)).join(" to "),
        row.against ?? "",
        `${short(row.parameters)} (${percent(row.fraction)})`,
        `${row.stepMs.measured?.toFixed(0) ?? ""}, ${row.stepMs.predicted?.toFixed(0) ?? ""}`,
        row.seconds.toFixed(0),
      ]),
  }));
}
