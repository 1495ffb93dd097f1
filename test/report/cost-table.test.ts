import { expect, test } from "vitest";
import type { ResultRow } from "../../src/experiment/records.js";
import { costLegend, costTable } from "../../src/report/cost-table.js";

function row(method: string, changes: Partial<ResultRow>): ResultRow {
  return {
    task: "snips",
    method,
    metric: "accuracy",
    mean: 0.9,
    ci95: null,
    seeds: 1,
    split: "test",
    parameters: { task: 1000, union: 22_272, fraction: 0.001 },
    stepMs: { predicted: 53.4, measured: 51.2 },
    seconds: { tune: 0, search: 0, fit: 1, evaluate: 1 },
    totalSeconds: 4,
    peakMemoryMiB: 800,
    memoryMiB: { predicted: 153.2, measured: 150.4 },
    softBeforeFit: null,
    hardenedBeforeFit: null,
    overlap: null,
    lowestLayer: 3,
    learningRate: null,
    overBudget: [],
    failed: 0,
    ...changes,
  };
}

test("a line for each method with a structure: parameters of all tasks, depth, time and memory", () => {
  const head = row("head", { stepMs: { predicted: null, measured: 2 }, memoryMiB: null, lowestLayer: null });
  const rows = [row("budgeted", {}), row("uniform", { lowestLayer: 2.5 }), head, row("budgeted", { task: "qnli" })];
  expect(costTable({ rows, fullStepMs: 100 })).toBe(
    [
      "a step of  params  lowest layer       ms  of full        MiB",
      "budgeted    22.3k             3  53 / 51      53%  153 / 150",
      "uniform     22.3k           2.5  53 / 51      53%  153 / 150",
    ].join("\n"),
  );
  expect(Math.max(...costLegend.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("there is no table where nothing was predicted", () => {
  const old = row("budgeted", { stepMs: { predicted: null, measured: 51 }, memoryMiB: null });
  expect(costTable({ rows: [old], fullStepMs: null })).toBeUndefined();
});
