import { describe, expect, test } from "vitest";
import { adapters } from "../../src/experiment/adapters.js";
import { type Budget, baselines, budget, model, search, task } from "../../src/experiment/define.js";

describe("builders make the objects that an experiment.json holds", () => {
  const rows: [object, object][] = [
    [model.miniLM(), { source: "embedded", name: "minilm" }],
    [model.hub("a/b", { revision: "v1" }), { source: "hub", id: "a/b", revision: "v1" }],
    [task.hub("nyu-mll/glue", { config: "cola" }), { name: "glue", source: "hub", id: "nyu-mll/glue", config: "cola" }],
    [task.embedded("snips"), { name: "snips", source: "embedded", id: "snips" }],
    [adapters.lora({ ranks: [1, 2] }), { kind: "lora", ranks: [1, 2] }],
    [search.paper({ sparsity: 2 }), { method: "paper", sparsity: 2 }],
    [baselines.topLayers({ layers: 1 }), { method: "topLayers", layers: 1 }],
    [baselines.lora({ rank: 8 }), { method: "peftLora", name: "lora", rank: 8 }],
    [baselines.shared(), { method: "uniform", name: "shared" }],
    [baselines.fullFineTuning(), { method: "full", learningRate: 5e-5 }],
    [budget.parameters("0.5%"), { parameters: 0.005 }],
    [budget.parameters(100_000), { parameters: 100_000 }],
    [budget.stepTime("60%"), { stepTime: 0.6 }],
    [budget.stepTime("100%"), { stepTime: 1 }],
    [budget.memory("2 GiB"), { memory: 2 ** 31 }],
    [budget.memory("1.5 MB"), { memory: 1_500_000 }],
    [budget.all(budget.stepTime("60%"), budget.parameters("0.5%")), { stepTime: 0.6, parameters: 0.005 }],
  ];
  test.each(rows)("%j", (made, expected) => {
    expect(made).toEqual(expected);
  });
});

test("the depth frontier is a search a depth, the shallow ones first, each named by its depth", () => {
  expect(search.frontier({ depths: [4, 1] })).toEqual([
    { method: "saliency", name: "top1", layers: 1 },
    { method: "saliency", name: "top4", layers: 4 },
  ]);
  expect(search.frontier({ depths: [2], of: search.budgeted({ epochs: 1 }) })).toEqual([
    { method: "budgeted", name: "top2", layers: 2, epochs: 1 },
  ]);
});

test.each([0, -1, 1.5, 0.5, "0%", "100%", "half" as "1%", Number.NaN])("budget.parameters(%j) is refused", (given) => {
  expect(() => budget.parameters(given as number)).toThrow("is not a number of parameters or a share of the backbone");
});

test.each(["0%", "101%", "60", "-1%", "fast"])("budget.stepTime(%j) is refused", (given) => {
  expect(() => budget.stepTime(given as "60%")).toThrow(`budget.stepTime: "${given}" is not a share of a full step`);
});

test.each(["2", "0 GiB", "2 TiB", "-1 GiB", "much"])("budget.memory(%j) is refused", (given) => {
  expect(() => budget.memory(given as "2 GiB")).toThrow(`budget.memory: "${given}" is not an amount of memory`);
});

test("a limit that is stated twice is refused", () => {
  const twice = () => budget.all(budget.stepTime("60%"), budget.stepTime("50%"));
  expect(twice).toThrow("budget.all: stepTime is limited twice");
});

test("an unlike unit, a bare number and a bare object are no budget", () => {
  // @ts-expect-error a share needs its sign
  expect(() => budget.stepTime(0.6)).toThrow("is not a share of a full step");
  // @ts-expect-error memory needs its unit
  expect(() => budget.memory(2 ** 31)).toThrow("is not an amount of memory");
  // @ts-expect-error only budget.* makes a Budget
  const bare: Budget = { stepTime: 0.6 };
  expect(bare).toEqual({ stepTime: 0.6 });
});
