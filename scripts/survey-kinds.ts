/**
 * Every adapter kind alone, spread evenly over its sites at one budget, and (all-kinds) a search over all of them together: score, parameters,
 * and step time against LoRA's.
 *
 *     npx jiti scripts/survey-kinds.ts --scale small                       snips, 0.5 %, one seed, 150 steps
 *     npx jiti scripts/survey-kinds.ts --scale full --data ../shared/data  trec, cola and mnli at 0.1 % and 0.5 %, three seeds
 *
 * --tasks trec   only these     --budgets 0.1%   only these     --kinds lora,ia3   only these
 * --steps 20   shorter fits     --batch 32   rows a step
 * --rows 500   evaluated a task     --runs DIR   keeps the runs, and goes on with them     --output DIR   takes table and pictures
 * --json
 *
 * LoRA is fitted first and again last: what lies between its two step times is the machine's own drift. A kind may have fewer
 * parameters than the budget allows: a bias is as large as its layer.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { parseHTML } from "linkedom";
import { scoreAgainst } from "../src/charts/index.js";
import { type KindName, kindNames } from "../src/experiment/schema/index.js";
import { baselines, budget, defineExperiment, model, type RunRecord, search, task } from "../src/index.js";
import { percent, points, short } from "../src/report/numbers.js";
import { toMarkdown } from "../src/report/tables/markdown.js";
import type { Table } from "../src/report/tables/results.js";
import { carryOut } from "./reproduction/carry-out.js";
import { type FilesTask, folderTask } from "./survey/rows.js";

const { values: given } = parseArgs({
  options: {
    scale: { type: "string", default: "small" },
    data: { type: "string", default: "../shared/data" },
    tasks: { type: "string", default: "trec,cola,mnli" },
    budgets: { type: "string", default: "0.1%,0.5%" },
    kinds: { type: "string" },
    steps: { type: "string" },
    batch: { type: "string", default: "32" },
    rows: { type: "string" },
    runs: { type: "string" },
    output: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const folder = given.runs ?? (await mkdtemp(path.join(tmpdir(), "espalier-survey-")));

type Part = { name: string; task: ReturnType<typeof task.embedded> | FilesTask; share: `${number}%` };
interface Scale {
  parts(): Part[];
  seeds: number;
  training: { epochs: number; maxSteps?: number };
}
const scales: Record<string, Scale> = {
  small: {
    parts: () => [{ name: "snips", task: task.embedded("snips"), share: "0.5%" }],
    seeds: 1,
    training: { epochs: 5, maxSteps: 150 },
  },
  full: {
    parts: () =>
      given.tasks.split(",").flatMap((name) => {
        const evaluated = given.rows === undefined ? undefined : Number(given.rows);
        const rows = folderTask(name, { data: given.data, evaluated, copies: path.join(folder, "survey-rows") });
        return given.budgets.split(",").map((share) => ({ name, task: rows, share: share as Part["share"] }));
      }),
    seeds: 3,
    training: { epochs: 2 },
  },
};
const scale = scales[given.scale];
if (scale === undefined) throw new Error(`--scale ${given.scale}: allowed are ${Object.keys(scales).join(", ")}`);
const wanted = given.kinds === undefined ? kindNames : given.kinds.split(",").map(known);
const others = wanted.filter((kind) => kind !== "lora");

interface Row {
  task: string;
  budget: string;
  kind: string;
  /** Null where the fit failed. */
  score: number | null;
  ci95: readonly [number, number] | null;
  parameters: number;
  fraction: number;
  stepMs: number | null;
  /** Of LoRA's, the mean of its first and its last fit. */
  timesLora: number | null;
}

try {
  const rows: Row[] = [];
  for (const part of scale.parts()) rows.push(...(await survey(part)));
  const markdown = toMarkdown(tables(rows));
  if (given.output !== undefined) await writeFile(path.join(given.output, "kinds.md"), `${markdown}\n`);
  console.log(given.json ? JSON.stringify({ rows }) : markdown);
} finally {
  if (given.runs === undefined) await rm(folder, { recursive: true, force: true });
}

async function survey(part: Part): Promise<Row[]> {
  const experiment = defineExperiment({
    name: `survey-${part.name}-${part.share.replace("%", "")}`,
    backbone: model.miniLM(),
    tasks: [part.task],
    space: { slots: ["attention", "mlp"], kinds: ["lora" as const, ...others].map((kind) => ({ kind })) },
    budget: budget.parameters(part.share),
    methods: [
      baselines.uniform({ name: "lora", kind: "lora" }),
      ...others.map((kind) => baselines.uniform({ name: kind, kind })),
      search.budgeted({ name: "all-kinds" }),
      baselines.uniform({ name: "lora-again", kind: "lora" }),
    ],
    training: {
      batchSize: Number(given.batch),
      learningRate: 3e-3,
      maxLength: 96,
      threads: 1,
      ...scale!.training,
      ...(given.steps === undefined ? {} : { maxSteps: Number(given.steps) }),
    },
    seeds: scale!.seeds,
  });
  const record = await carryOut(experiment, { runs: folder });
  if (given.output !== undefined) await draw(experiment.name, record, given.output);
  const lora = record.rows.filter((row) => row.method.startsWith("lora")).flatMap((row) => row.stepMs.measured ?? []);
  const usual = lora.reduce((sum, value) => sum + value, 0) / lora.length;
  return record.rows.map((row) => ({
    task: row.task,
    budget: part.share,
    kind: row.method,
    score: row.mean === null ? null : Number(row.mean),
    ci95: row.ci95 === null ? null : [Number(row.ci95[0]), Number(row.ci95[1])],
    parameters: row.parameters.task,
    fraction: row.parameters.fraction,
    stepMs: row.stepMs.measured,
    timesLora: row.stepMs.measured === null ? null : row.stepMs.measured / usual,
  }));
}

/** A table for each task and budget. */
function tables(rows: readonly Row[]): Table[] {
  const names = [...new Set(rows.map(titleOf))];
  return names.map((name) => ({
    name,
    caption: `every kind alone, spread evenly; ${scale!.seeds === 1 ? "one seed" : `${scale!.seeds} seeds`}, score x 100`,
    head: ["kind", "score", "95% interval", "parameters", "of the model", "step ms", "times LoRA"],
    align: ["left", "right", "right", "right", "right", "right", "right"],
    rows: rows
      .filter((row) => titleOf(row) === name)
      .map((row) => [
        row.kind,
        row.score === null ? "failed" : points(row.score),
        row.ci95 === null ? "" : row.ci95.map((value) => points(value)).join(" to "),
        short(row.parameters),
        percent(row.fraction),
        row.stepMs === null ? "" : row.stepMs.toFixed(0),
        row.timesLora === null ? "" : row.timesLora.toFixed(2),
      ]),
  }));
}

function titleOf(row: Row): string {
  return `${row.task}, ${row.budget}`;
}

function known(name: string): KindName {
  const kind = kindNames.find((entry) => entry === name);
  if (kind === undefined) throw new Error(`--kinds ${name}: allowed are ${kindNames.join(", ")}`);
  return kind;
}

/** The picture of scores over parameters. */
async function draw(name: string, record: RunRecord, output: string): Promise<void> {
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: Document };
  const figure = scoreAgainst(record.rows, { document, width: 720, theme: "light" });
  await mkdir(output, { recursive: true });
  await writeFile(path.join(output, `${name}.svg`), `${figure.outerHTML}\n`);
}
