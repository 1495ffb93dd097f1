import { describe, expect, test } from "vitest";
import type { Comparison, ResultRow, RunRecord, Structure } from "../../src/experiment/records.js";
import { layerShareLines } from "../../src/report/layer-shares.js";
import { duration, percent, points, short } from "../../src/report/numbers.js";
import { paintFor, plain } from "../../src/report/paint.js";
import { resultsLegend, resultsTable } from "../../src/report/results-table.js";
import { runReport } from "../../src/report/run-report.js";
import { drawStructure, layerGrid } from "../../src/report/structure-drawing.js";
import { resultTables } from "../../src/report/tables/results.js";
import { syntheticRun } from "../fixtures/synthetic-run.js";

function row(method: string, mean: number, union: number): ResultRow {
  return {
    task: "snips",
    method,
    metric: "accuracy",
    mean,
    ci95: [mean - 0.01, mean + 0.01],
    seeds: 3,
    split: "test",
    parameters: { task: union, union, fraction: union / 22_713_216 },
    stepMs: { predicted: null, measured: 87.2 },
    seconds: { tune: 0, search: method === "budgeted" ? 13 : 0, fit: 11, evaluate: 2 },
    totalSeconds: 60,
    peakMemoryMiB: 800,
    memoryMiB: null,
    softBeforeFit: null,
    hardenedBeforeFit: null,
    overlap: null,
    lowestLayer: 0,
    failed: 0,
    learningRate: 0.003,
    overBudget: [],
  };
}

function against(b: string, difference: number, verdict: Comparison["verdict"]): Comparison {
  return {
    task: "snips",
    a: "budgeted",
    b,
    difference,
    ci95: [-1, 1],
    p: 0.01,
    pAdjusted: 0.02,
    verdict,
    detectable: 0.03,
  };
}

const record: Pick<RunRecord, "rows" | "comparisons"> = {
  rows: [row("budgeted", 0.968, 22_272), row("uniform", 0.97, 22_272), row("head", 0.956, 0)],
  comparisons: [against("uniform", -0.002, "cannot be told apart"), against("head", 0.012, "better")],
};

describe("a method that takes more than the budget allows", () => {
  const full: ResultRow = {
    ...row("full", 0.97, 22_713_216),
    overBudget: [
      { limit: "stepTime", allowed: 0.6, measured: 1.634 },
      { limit: "memory", allowed: 2 ** 28, measured: 2 ** 29 },
    ],
  };
  const over = { ...record, rows: [...record.rows, full] };

  test("has a star at its name", () => {
    const lines = resultsTable(over, plain).split("\n");
    expect(lines.filter((line) => line.includes("*"))).toEqual([
      "full*      97.0  96.0 to 98.0   22.7M  87 ms  11 s  -",
    ]);
  });

  test("is told of under the table, with what it takes and what is allowed", () => {
    const time = "* full takes 163% of a full step; the budget allows 60%";
    const memory = "* full takes 512 MiB; the budget allows 256 MiB";
    expect(resultsLegend(over).split("\n").slice(-2)).toEqual([time, memory]);
    expect(resultTables(over)[0]?.caption).toBe(`accuracy x 100 on test, 3 seeds; ${time}; ${memory}`);
    expect(resultTables(over)[0]?.rows.at(-1)?.[0]).toBe("full*");
  });
});

describe("the results table", () => {
  test("has a line for each method, with score, interval, parameters, times and verdict", () => {
    expect(resultsTable(record, plain)).toBe(
      [
        "snips  accuracy x 100 on test, 3 seeds",
        "method    score  95% interval  params   step  time  answer against it",
        "budgeted   96.8  95.8 to 97.8   22.3k  87 ms  24 s  the answer",
        "uniform    97.0  96.0 to 98.0   22.3k  87 ms  11 s  no difference -0.2",
        "head       95.6  94.6 to 96.6       0  87 ms  11 s  better +1.2",
      ].join("\n"),
    );
  });

  test("keeps to 80 columns", () => {
    const text = `${resultsTable(record, plain)}\n${resultsLegend(record)}`;
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("shows a method whose trials all failed", () => {
    const failed = { ...row("uniform", 0, 0), mean: null, ci95: null, seeds: 0, failed: 3 };
    const lines = resultsTable({ rows: [failed, row("head", 0.956, 0)], comparisons: [] }, plain).split("\n");
    expect(lines[0]).toBe("snips  accuracy x 100 on test, 3 seeds");
    expect(lines[2]).toMatch(/^uniform +- +- +- +\d+ ms +- +the answer \(3 failed\)$/);
  });
});

test("the report of several tasks and methods keeps to 80 columns", () => {
  const whole = { ...syntheticRun({ steps: 2 }).record!, exports: [], run: "/runs/mine" };
  const text = runReport({ record: whole, structure: undefined, failures: [] }, plain);
  expect(text).toContain("all tasks  accuracy x 100, mean over the tasks, 3 seeds\n");
  expect(text).toMatch(/^rival +task +difference +95% interval +adjusted +could see$/m);
  expect(text).toMatch(/^budgeted +92.0 +90.0 +\d+\.\d +0\.60 +- +25 s +18 s +2 min \d+ s$/m);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("the report says why trials failed, in lines of 80 columns", () => {
  const whole: RunRecord = {
    ...record,
    version: 1,
    run: "/runs/mine",
    status: "failed",
    overTasks: null,
    fullStepMs: null,
    seconds: 61,
    exports: [],
    warnings: [],
  };
  const error = "step 3 spends 7296 of a budget of 6000, which no rounding of the gates explains";
  const text = runReport({ record: whole, structure: undefined, failures: [{ trial: "a-seed0", error }] }, plain);
  expect(text).toContain(
    "\n\nfailed: a-seed0: step 3 spends 7296 of a budget of 6000, which no rounding of\nthe gates explains\n\n",
  );
  expect(text.split("\n").at(-1)).toBe("run failed in 1 min 1 s: /runs/mine");
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

const structure: Structure = {
  version: 1,
  method: "budgeted",
  backbone: {
    family: "bert",
    layers: 2,
    hidden: 384,
    slots: ["attention.query", "mlp"],
    sites: { "layers.0.attention.query/lora": 8, "layers.1.attention.query/lora": 8, "layers.1.mlp/bottleneck": 16 },
  },
  tasks: ["snips", "qnli"],
  budget: 20_000,
  parameters: { union: 13_824, tasks: { snips: 13_824, qnli: 1536 } },
  candidates: [
    candidate("layers.1.attention.query", 1, "attention.query", "lora", 0, 1, ["snips"]),
    candidate("layers.1.attention.query", 1, "attention.query", "lora", 2, 2, ["snips", "qnli"]),
    candidate("layers.1.mlp", 1, "mlp", "bottleneck", 0, 16, ["snips"]),
  ],
};

function candidate(
  site: string,
  layer: number,
  slot: Structure["candidates"][number]["slot"],
  kind: Structure["candidates"][number]["kind"],
  start: number,
  size: number,
  tasks: string[],
): Structure["candidates"][number] {
  return {
    site,
    layer,
    slot,
    kind,
    start,
    size,
    parameters: 768 * size,
    ofOthers: 0,
    tasks,
    scores: {},
    path: 0,
    weights: {},
  };
}

test("a structure is drawn as layers by slots, for all tasks and for each", () => {
  expect(drawStructure(structure, plain, 22_713_216)).toBe(
    [
      "learned structure  budgeted: 13.8k of 20.0k parameters, 0.061% of the backbone",
      "a number is the rank or width chosen there, . is none",
      "",
      "all tasks, 13.8k parameters",
      "layer   query    mlp",
      "    1       3     16",
      "    0       .       ",
      "",
      "snips uses all of it, 13.8k parameters",
      "",
      "only what qnli uses, 1.5k parameters",
      "layer   query    mlp",
      "    1       2      .",
      "    0       .       ",
    ].join("\n"),
  );
});

const slots = [
  "attention.query",
  "attention.key",
  "attention.value",
  "attention.output",
  "mlp.up",
  "mlp.down",
] as const;

test("kinds that share slots are drawn one after the other, each where it is, within 80 columns", () => {
  const kinds = ["lora", "tarp", "grasp", "dualLora", "bitfit"];
  const sites = slots.flatMap((slot) =>
    kinds.flatMap((kind) => [0, 1].map((at) => [`layers.${at}.${slot}/${kind}`, 8])),
  );
  const text = drawStructure(
    {
      ...structure,
      tasks: ["snips"],
      backbone: {
        ...structure.backbone,
        slots: [...slots],
        sites: Object.fromEntries(sites) as Record<string, number>,
      },
      candidates: [
        candidate("layers.1.attention.query", 1, "attention.query", "lora", 0, 4, ["snips"]),
        candidate("layers.0.mlp.down", 0, "mlp.down", "tarp", 0, 2, ["snips"]),
        candidate("layers.1.mlp.down", 1, "mlp.down", "tarp", 0, 1, ["snips"]),
        candidate("layers.1.mlp.up", 1, "mlp.up", "tarp", 0, 1, ["snips"]),
      ],
    },
    plain,
  );
  expect(text.split("\n\n")[1]).toBe(
    [
      "snips, 13.8k parameters",
      "lora",
      "layer   query",
      "    1       4",
      "tarp",
      "layer      up   down",
      "    1       1      1",
      "    0       .      2",
      "nothing of grasp, dualLora, bitfit",
    ].join("\n"),
  );
});

test("columns beyond 80 go on below", () => {
  const columns = [...slots, ...slots].map((slot, at) => ({ slot, kind: "lora", title: `${at} of many` }));
  const text = layerGrid(1, columns, plain, () => ({ text: "x", paint: plain.good, tells: true }));
  expect(text.split("\n").map((line) => line.match(/of many|x/g)?.length)).toEqual([6, 6, 6, 6]);
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("numbers read as people read them", () => {
  expect([points(0.9123), points("NaN"), short(22_272), short(1.4e6), short(12), percent(0.00098)]).toEqual([
    "91.2",
    "NaN",
    "22.3k",
    "1.4M",
    "12",
    "0.098%",
  ]);
  expect([duration(43.2), duration(125), duration(3780)]).toEqual(["43 s", "2 min 5 s", "1 h 3 min"]);
});

test("colour comes only where the stream is a terminal and NO_COLOR is not set", () => {
  expect(paintFor({ isTTY: false }, {}).bold("x")).toBe("x");
  expect(paintFor({ isTTY: true }, { NO_COLOR: "1" }).bold("x")).toBe("x");
  expect(paintFor({ isTTY: true }, { TERM: "dumb" }).bold("x")).toBe("x");
  expect(paintFor({ isTTY: true }, { TERM: "xterm" }).bold("x")).not.toBe("x");
});

test("paths are drawn as letters, and a task's mix of them as shares", () => {
  const routed: Structure = {
    ...structure,
    candidates: [
      {
        ...candidate("layers.1.attention.query", 1, "attention.query", "lora", 0, 2, ["snips"]),
        weights: { snips: 0.7 },
      },
      {
        ...candidate("layers.1.attention.query", 1, "attention.query", "lora", 8, 1, ["snips", "qnli"]),
        path: 1,
        weights: { snips: 0.3 },
      },
    ],
  };
  const parts = drawStructure(routed, plain).split("\n\n");
  expect(parts[0]).toContain(". is none; a, b, ... are a site's paths");
  expect(parts[1]).toContain("    1   2a+1b      .");
  expect(parts[2]).toContain("snips uses all of it");
  expect(parts[2]).toContain("\nlayers.1.attention.query mixes 0.70 a + 0.30 b");
  expect(parts[3]).toContain("    1      1b      .");
  expect(parts[3]).not.toContain("mixes");
});

test("heads that mix layers are drawn as bars, each named where it reads most", () => {
  expect(layerShareLines({ snips: [0.1, 0.1, 0.2, 0.6], sst: [0.4, 0.2, 0.2, 0.2] })).toBe(
    [
      "what the heads read: embeddings, then each layer from the lowest up",
      "snips  \u2582\u2582\u2583\u2588  most of layer 2, 60%",
      "sst    \u2588\u2585\u2585\u2585  most of the embeddings, 40%",
    ].join("\n"),
  );
});
