import { describe, expect, test } from "vitest";
import { adapters } from "../../src/experiment/adapters.js";
import { baselines, budget, model, search, task } from "../../src/experiment/define.js";

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
  ];
  test.each(rows)("%j", (made, expected) => {
    expect(made).toEqual(expected);
  });
});

test.each([0, -1, 1.5, 0.5, "0%", "100%", "half" as "1%", Number.NaN])("budget.parameters(%j) is refused", (given) => {
  expect(() => budget.parameters(given as number)).toThrow("is not a number of parameters or a share of the backbone");
});
