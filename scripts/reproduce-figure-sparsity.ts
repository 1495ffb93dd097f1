/**
 * The paper's figure of the sparsity term: its method's score at the weights 0.1, 0.5, 1, 2 and 5.
 *
 *     npx jiti scripts/reproduce-figure-sparsity.ts --scale small --data ../shared/data
 */
import { study } from "../src/index.js";
import { toNumber } from "../src/report/numbers.js";
import { readResult } from "../src/runs/read.js";
import { carryOut, script } from "./reproduction/carry-out.js";
import { none, recordNotes, rowCells, rowHeader, rowOf, score, shareOf } from "./reproduction/cells.js";
import { ofPair, paper } from "./reproduction/experiments.js";
import { readOptions } from "./reproduction/options.js";
import { publish } from "./reproduction/publish.js";
import { sparsityFigure as publishedFigure } from "./reproduction/published.js";
import { sparsityFigure } from "./reproduction/sparsity-figure.js";

await script(async () => {
  const options = readOptions("reproduce-figure-sparsity", "The paper's figure of the sparsity term.");
  const { sparsity } = study.sensitivity(ofPair(options, "figure", [paper()]));
  const record = await carryOut(sparsity, options);
  const weights = sparsity.methods.flatMap((method) => (method.method === "paper" ? [method.sparsity!] : []));
  const tasks = sparsity.tasks.map(({ name }) => name);
  const rows = record.rows.filter((row) => row.mean !== null);
  await publish(options, {
    title: "The weight of the sparsity term",
    tables: [
      {
        name: "sparsity",
        caption: `accuracy x 100 with its 95 % interval, ${options.seeds} seeds`,
        head: ["weight", "parameters", "gates above 0.5", ...tasks],
        align: ["right", "right", "right", ...tasks.map(() => "right" as const)],
        rows: await Promise.all(
          weights.map(async (weight) => [
            String(weight),
            shareOf(rowOf(record, `sparsity-${weight}`, tasks[0]!)),
            await openGates(record.run, weight),
            ...tasks.map((task) => score(rowOf(record, `sparsity-${weight}`, task))),
          ]),
        ),
      },
    ],
    csv: {
      header: ["weight", ...rowHeader],
      rows: record.rows.map((row) => [row.method.replace("sparsity-", ""), ...rowCells(row)]),
    },
    figures: {
      sparsity: (drawn) =>
        sparsityFigure(
          rows.map((row) => ({
            task: row.task,
            weight: Number(row.method.replace("sparsity-", "")),
            score: toNumber(row.mean!),
            low: toNumber(row.ci95?.[0] ?? row.mean!),
            high: toNumber(row.ci95?.[1] ?? row.mean!),
          })),
          drawn,
        ),
    },
    notes: [
      publishedFigure,
      "the structure is filled to the budget whatever the weight, so that all have about the same size; the gates above 0.5 say what a threshold would have kept",
      "the sparsity term here is the mean of the gates weighed by cost: the paper's sum shuts every gate at weight 1",
      ...recordNotes([record]),
    ],
  });

  /** Mean over seeds of the gates that a threshold of 0.5 would have kept. */
  async function openGates(run: string, weight: number): Promise<string> {
    const ids = [...Array(options.seeds).keys()].map((seed) => `sparsity-${weight}-seed${seed}`);
    const found = (await Promise.all(ids.map((id) => readResult(run, id)))).flatMap((it) => it?.gatesAboveHalf ?? []);
    return found.length === 0 ? none : (found.reduce((sum, count) => sum + count, 0) / found.length).toFixed(1);
  }
});
