/**
 * What the depth frontier costs: the seconds of its searches and fits together, filling of the cache included, beside one fit of
 * PEFT's LoRA on all linears for as many epochs, in turn over the seeds of one run.
 *
 *     npx jiti scripts/frontier-cost.ts --data ../shared/data --task trec
 *
 * Without --data the embedded task snips. --epochs 5     --rows 500   evaluated     --seeds 2     --runs DIR   keeps the run
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { baselines, budget, defineExperiment, model, type ResultRow, search, task } from "../src/index.js";
import { points } from "../src/report/numbers.js";
import { toMarkdown } from "../src/report/tables/markdown.js";
import { carryOut, script } from "./reproduction/carry-out.js";
import { folderTask } from "./survey/rows.js";

const linears = [
  "attention.query",
  "attention.key",
  "attention.value",
  "attention.output",
  "mlp.up",
  "mlp.down",
] as const;

const { values: given } = parseArgs({
  options: {
    data: { type: "string" },
    task: { type: "string", default: "trec" },
    epochs: { type: "string", default: "5" },
    rows: { type: "string", default: "500" },
    seeds: { type: "string", default: "2" },
    runs: { type: "string", default: "reproduction/runs" },
  },
});

await script(async () => {
  const { data, runs } = given;
  const copies = path.join(runs, "survey-rows");
  const peer = "lora";
  const record = await carryOut(
    defineExperiment({
      name: "frontier-cost",
      backbone: model.miniLM(),
      tasks: [
        data === undefined
          ? task.embedded("snips")
          : folderTask(given.task, { data, evaluated: Number(given.rows), copies }),
      ],
      budget: budget.parameters("0.5%"),
      methods: [...search.frontier(), baselines.lora({ name: peer, rank: 8, slots: [...linears] })],
      training: { epochs: Number(given.epochs), batchSize: 32, learningRate: 1e-3, maxLength: 96, threads: 1 },
      seeds: Number(given.seeds),
    }),
    { runs: path.resolve(runs) },
  );
  const seconds = ({ seconds: { search, fit } }: ResultRow): number => search + fit;
  const own = record.rows.filter((row) => row.method !== peer);
  const theirs = record.rows.find((row) => row.method === peer)!;
  const sum = own.reduce((total, row) => total + seconds(row), 0);
  console.log(
    toMarkdown([
      {
        name: `the depth frontier on ${theirs.task}`,
        caption: `${given.epochs} epochs a fit, ${given.seeds} seeds, means; PEFT's LoRA of rank 8 on all linears`,
        head: ["structure", "score", "step ms", "seconds of search and fit", "of PEFT's"],
        align: ["left", "right", "right", "right", "right"],
        rows: [...own, theirs].map((row) => [
          row.method,
          row.mean === null ? "failed" : points(row.mean),
          row.stepMs.measured?.toFixed(1) ?? "",
          seconds(row).toFixed(1),
          (seconds(row) / seconds(theirs)).toFixed(2),
        ]),
      },
    ]),
  );
  console.log(`\nthe whole frontier: ${(sum / seconds(theirs)).toFixed(2)} of one PEFT fit (target: below 2)`);
});
