import { expect, test } from "vitest";
import { robustnessFigures } from "../../src/charts/index.js";
import { plain } from "../../src/report/paint.js";
import { robustnessLegend, robustnessTables } from "../../src/report/robustness-tables.js";
import { card } from "../fixtures/robustness.js";

test("a table for each task and perturbation, and one for rounding", () => {
  expect(robustnessTables(card, plain).join("\n\n")).toBe(
    `
snips  accuracy x 100 under input noise, 3 seeds
method      0%   10%   20%  area  95% interval  answer less it
budgeted  95.0  91.0  88.0  91.3  90.3 to 92.3      the answer
full      96.0  90.0  80.0  89.0  88.0 to 90.0     +2.3 +- 0.4

snips  accuracy x 100 under path noise, 3 seeds
method      0%   10%   20%  area  95% interval  answer less it
budgeted  95.0  94.0  90.0  93.3  92.3 to 94.3      the answer

snips  adapters rounded to 8 bits, 3 seeds
method    clean  rounded  change  95% interval
budgeted   95.0     95.0    -0.1   -0.1 to 0.1
full       96.0     96.0    +0.0   -0.1 to 0.1
`.trim(),
  );
});

test("the default grid with long names keeps to 80 columns", () => {
  const wide = {
    ...card,
    ratios: [0, 0.05, 0.1, 0.15, 0.2],
    curves: card.curves.map((curve) => ({ ...curve, points: [...curve.points, ...curve.points.slice(1)] })),
  };
  const lines = [...robustnessTables(wide, plain), robustnessLegend(wide)].join("\n").split("\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test("the legend says what was left out, and on how many rows it was measured", () => {
  expect(robustnessLegend(card)).toContain("without full under path noise: it has no adapters");
  expect(robustnessLegend(card)).toContain("at most 200 evaluation rows a task");
});

test("a figure for each task and perturbation, with the areas in its caption", () => {
  const figures = robustnessFigures(card);
  expect(figures.map(({ perturbation, points }) => [perturbation, points.length])).toEqual([
    ["input noise", 6],
    ["path noise", 3],
  ]);
  expect(figures[0]!.areas).toBe("Mean score over the range: budgeted 91.3 (90.3 to 92.3), full 89.0 (88.0 to 90.0)");
  expect(figures[0]!.points[4]).toEqual({ method: "full", ratio: 0.1, score: 0.9, low: 0.89, high: 0.91 });
});
