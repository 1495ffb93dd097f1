import path from "node:path";
import { expect, test } from "vitest";
import type { Merge } from "../../src/experiment/records.js";
import { mergeLines } from "../../src/report/merge-lines.js";

const task = {
  name: "snips",
  run: "/runs/a",
  trial: "uniform-seed0",
  task: "snips",
  metric: "accuracy",
  split: "test",
  own: 0.951,
  merged: 0.9326,
  unread: null,
  leftOut: [],
} as const;
const merge: Merge = {
  version: 1,
  method: "ties",
  weight: 1,
  density: 0.2,
  rank: 4,
  path: path.resolve("taken/merge-ties"),
  parameters: 22_272,
  kept: 0.912,
  maxDifference: 3.1e-7,
  tasks: [
    { ...task, leftOut: [] },
    { ...task, name: "qnli", split: null, merged: null, unread: "qnli.jsonl: no such file", leftOut: ["bottleneck"] },
  ],
};

test("a merge is told with each task's score alone and merged, what is left out, and what the rank costs", () => {
  expect(mergeLines(merge)).toBe(
    [
      "2 adapters merged by ties (weight 1, density 0.2), 22.3k parameters",
      "(peft, reloaded, largest difference 3.1e-7):",
      "  the ranks hold 91.2 % of the merged update",
      "  snips  accuracy 93.3, alone 95.1 (test)",
      "  qnli   not scored: qnli.jsonl: no such file",
      "  qnli: without bottleneck, which no merge holds",
      "  taken/merge-ties",
    ].join("\n"),
  );
});

test("a third of three tasks reads as such, and an exact merge says nothing of its rank", () => {
  const lines = mergeLines({ ...merge, method: "mda", weight: 1 / 3, density: null, kept: 1 });
  expect(lines).toContain("merged by mda (weight 0.333), 22.3k parameters");
  expect(lines).not.toContain("the ranks hold");
});
