/**
 * The paper's figure of data perturbation: scores of models that were trained on flipped labels, on fewer rows, on swapped words.
 *
 *     npx jiti scripts/reproduce-figure-perturbation.ts --scale small --data ../shared/data
 */
import { robustnessCurves } from "../src/charts/index.js";
import { baselines, type ResultRow, search, study } from "../src/index.js";
import { toNumber } from "../src/report/numbers.js";
import { ratioLabel } from "../src/report/robustness-tables.js";
import { carryOut, script } from "./reproduction/carry-out.js";
import { recordNotes, rowCells, rowHeader, score } from "./reproduction/cells.js";
import { labelOf, ofPair } from "./reproduction/experiments.js";
import { readOptions } from "./reproduction/options.js";
import { publish } from "./reproduction/publish.js";
import { perturbationFigure } from "./reproduction/published.js";

const words = { labels: "flipped labels", rows: "left-out rows", words: "swapped words" } as const;

await script(async () => {
  const given = readOptions("reproduce-figure-perturbation", "The paper's figure of data perturbation.");
  // Thirteen runs: two seeds unless more were asked for.
  const asked = process.argv.some((argument) => argument.startsWith("--seeds"));
  const options = (given.scale === "small" || given.scale === "medium") && !asked ? { ...given, seeds: 2 } : given;
  const pair = ofPair(options, "data", [search.budgeted(), baselines.uniform()]);
  const experiment = { ...pair, tasks: pair.tasks.slice(0, 1) };
  const { clean, data } = study.sensitivity(experiment, options.scale === "smoke" ? { ratios: [0.2] } : {});
  const first = await carryOut(clean, options);
  const found: { data: keyof typeof words; ratio: number; rows: ResultRow[] }[] = [];
  const records = [first];
  for (const { data: what, ratio, experiment: perturbed } of data) {
    const record = await carryOut(perturbed, options);
    records.push(record);
    found.push({ data: what, ratio, rows: record.rows });
  }
  const kinds = Object.keys(words) as (keyof typeof words)[];
  const line = (what: keyof typeof words) => [
    { ratio: 0, rows: first.rows },
    ...found.filter((entry) => entry.data === what),
  ];
  const methods = [...new Set(first.rows.map((row) => row.method))];
  await publish(options, {
    title: "Perturbed training data",
    tables: kinds.map((what) => ({
      name: words[what],
      caption: `accuracy x 100 on ${first.rows[0]!.task} with its 95 % interval, ${options.seeds} seeds`,
      head: ["method", ...line(what).map(({ ratio }) => ratioLabel(ratio))],
      align: ["left", ...line(what).map(() => "right" as const)],
      rows: methods.map((method) => [
        labelOf(method),
        ...line(what).map(({ rows }) => score(rows.find((row) => row.method === method))),
      ]),
    })),
    csv: {
      header: ["perturbation", "ratio", ...rowHeader],
      rows: kinds.flatMap((what) =>
        line(what).flatMap(({ ratio, rows }) => rows.map((row) => [what, ratio, ...rowCells(row)])),
      ),
    },
    figures: Object.fromEntries(
      kinds.map((what) => [
        what,
        (drawn) =>
          robustnessCurves(
            line(what).flatMap(({ ratio, rows }) =>
              rows
                .filter((row) => row.mean !== null)
                .map((row) => ({
                  method: labelOf(row.method),
                  ratio,
                  score: toNumber(row.mean!),
                  low: row.ci95 === null ? undefined : toNumber(row.ci95[0]),
                  high: row.ci95 === null ? undefined : toNumber(row.ci95[1]),
                })),
            ),
            { ...drawn, perturbation: words[what], metric: "accuracy" },
          ),
      ]),
    ),
    notes: [
      perturbationFigure,
      "search, probe and fit see the perturbed rows; evaluation rows are as they were",
      ...recordNotes(records),
    ],
  });
});
