import { expect, test } from "vitest";
import { baselines, budget, defineExperiment, model, planExperiment, search, study, task } from "../../src/index.js";

const experiment = defineExperiment({
  name: "mine",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips")],
  budget: budget.parameters("0.5%"),
  methods: [search.budgeted(), search.paper({ gateLearningRate: 0.1 }), baselines.uniform()],
  training: { epochs: 2 },
  seeds: 2,
});

test("the sparsity study is the paper's method at each weight, with the user's settings of it", () => {
  const { methods, name, tasks } = planExperiment(study.sensitivity(experiment).sparsity);
  expect(name).toBe("mine-sparsity");
  expect(tasks.map((entry) => entry.name)).toEqual(["snips"]);
  expect(methods.map((method) => (method.method === "paper" ? [method.name, method.sparsity] : []))).toEqual(
    [0.1, 0.5, 1, 2, 5].map((weight) => [`sparsity-${weight}`, weight]),
  );
  expect(methods.every((method) => method.method === "paper" && method.gateLearningRate === 0.1)).toBe(true);
});

test("the data study is the experiment on perturbed rows, one for each perturbation and ratio", () => {
  const { data, clean } = study.sensitivity(experiment);
  expect(data.map(({ data, ratio }) => [data, ratio])).toEqual(
    ["labels", "rows", "words"].flatMap((what) => [0.05, 0.1, 0.15, 0.2].map((ratio) => [what, ratio])),
  );
  const [first] = data.map(({ experiment }) => planExperiment(experiment));
  const plain = planExperiment(clean);
  expect(first!.training).toEqual({ ...plain.training, perturbation: { data: "labels", ratio: 0.05, seed: 0 } });
  expect([first!.methods, first!.trials]).toEqual([plain.methods, plain.trials]);
  expect(new Set(data.map(({ experiment }) => experiment.name)).size).toBe(12);
  expect(clean).toBe(experiment);
});

test("the noise study is the ratios of the paper's figure", () => {
  expect(study.sensitivity(experiment).noise).toEqual({
    perturbations: ["input", "activation", "path"],
    ratios: [0.05, 0.1, 0.15, 0.2],
  });
});
