import path from "node:path";
import { describe, expect, test } from "vitest";
import { baselines, budget, defineExperiment, model, search, task } from "../../src/experiment/define.js";
import { planExperiment, planFiles, planHash } from "../../src/experiment/plan.js";
import { quickstart } from "../../src/experiment/presets.js";
import { PlanSchema } from "../../src/experiment/schema/index.js";
import { spaces } from "../../src/experiment/spaces.js";

const experiment = defineExperiment({
  name: "example",
  backbone: model.folder("model"),
  tasks: [task.files("trec", { train: "trec/train.jsonl", test: "trec/test.jsonl" })],
  budget: budget.parameters("0.5%"),
  methods: [search.budgeted(), baselines.random({ draws: 3, name: "chance" }), baselines.head()],
  seeds: [4, 7],
});

test("the space of MAM is fitted whole where a baseline takes all kinds", () => {
  const plan = planExperiment({ ...experiment, space: spaces.mam(), methods: [baselines.uniform({ kind: "all" })] });
  expect(plan.space.kinds).toMatchObject([
    { kind: "prefix", tokens: [16] },
    { kind: "scaledParallel", sizes: [16], scale: 2, slots: ["mlp"] },
  ]);
  expect(plan.methods).toMatchObject([{ method: "uniform", kind: "all" }]);
});

describe("a quantised backbone", () => {
  const quantised = { ...experiment, backbone: model.miniLM({ quantization: "4bit" }) };

  test("is part of the plan", () => {
    expect(planExperiment(quantised).backbone).toMatchObject({ name: "minilm", quantization: "4bit" });
  });

  test("is refused beside full fine-tuning, which would train its weights", () => {
    expect(() => planExperiment({ ...quantised, methods: [search.budgeted(), baselines.fullFineTuning()] })).toThrow(
      'backbone.quantization: "4bit" leaves methods[1], full fine-tuning, no weights that it could train',
    );
  });

  test("is refused on the CPU", () => {
    expect(() => planExperiment({ ...quantised, training: { device: "cpu" } })).toThrow(
      'backbone.quantization: "4bit" needs CUDA, but training.device is "cpu"',
    );
  });
});

describe("a task's metric", () => {
  const scored = (kind: "generation" | "multipleChoice", metric: "rougeL" | "f1") =>
    planExperiment({ ...experiment, tasks: [task.files("t", { train: "t.jsonl", test: "t.jsonl", kind, metric })] });

  test("is one that its kind can be scored by", () => {
    expect(scored("generation", "rougeL").tasks[0]).toMatchObject({ kind: "generation", metric: "rougeL" });
    expect(() => scored("multipleChoice", "f1")).toThrow('tasks[0].metric: "f1" cannot score a multipleChoice');
  });
});

describe("a plan", () => {
  const plan = planExperiment(experiment, { baseFolder: "/data" });

  test("is total, and fits its own schema", () => {
    expect(PlanSchema.parse(plan)).toEqual(plan);
  });

  test("has absolute paths, from the experiment's folder", () => {
    expect(plan.backbone).toMatchObject({ path: path.resolve("/data/model") });
    expect(plan.tasks[0]).toMatchObject({ train: path.resolve("/data/trec/train.jsonl"), validation: null });
  });

  test("has the path of an earlier structure from there too, and the search that would go on from it", () => {
    const { methods } = planExperiment(
      { ...experiment, methods: [search.from("runs/a/trials/b", { mode: "start" })] },
      { baseFolder: "/data" },
    );
    expect(methods[0]).toMatchObject({
      name: "from",
      structure: path.resolve("/data/runs/a/trials/b"),
      search: { method: "budgeted", level: "single" },
    });
  });

  test("reads the files of its tasks, its backbone and what a method starts from", () => {
    const methods = [search.from("a.json"), search.tams({ name: "other", controller: "b.safetensors" }), search.tams()];
    const inData = (...names: string[]) => names.map((name) => path.resolve("/data", name));
    expect(planFiles(planExperiment({ ...experiment, methods }, { baseFolder: "/data" }))).toEqual(
      inData("model", "trec/train.jsonl", "trec/test.jsonl", "a.json", "b.safetensors"),
    );
    expect(planFiles(planExperiment(quickstart))).toEqual([]);
  });

  test("has every strength of a prior, 0 where none was given", () => {
    const { methods } = planExperiment({ ...experiment, methods: [search.paper({ prior: { depth: 0.01 } })] });
    expect(methods[0]).toMatchObject({ prior: { tasks: 0, depth: 0.01, filter: 0 } });
    expect(plan.methods[0]).toMatchObject({ prior: null });
  });

  test("has a trial for each method and seed, and shares a random method's structures out over the seeds", () => {
    expect(plan.trials.map((trial) => trial.id)).toEqual([
      "budgeted-seed4",
      "budgeted-seed7",
      "chance-draw0-seed4",
      "chance-draw2-seed4",
      "chance-draw1-seed7",
      "chance-draw0-seed7",
      "head-seed4",
      "head-seed7",
    ]);
  });

  test("has a hash that does not depend on the order of keys, and does on every value", () => {
    const reversed = Object.fromEntries(Object.entries(plan).reverse()) as typeof plan;
    expect(planHash(reversed)).toBe(planHash(plan));
    expect(planHash({ ...plan, budget: { ...plan.budget, parameters: 0.006 } })).not.toBe(planHash(plan));
  });
});

describe("what cannot be planned is refused", () => {
  const rows: [string, object, string][] = [
    ["a seed twice", { seeds: [1, 1] }, "seeds: [1,1] holds a seed twice"],
    ["a kind twice", { space: { kinds: [{ kind: "lora" }, { kind: "lora" }] } }, "lora, lora names a kind twice"],
    [
      "a baseline of a kind that the space lacks",
      { methods: [{ method: "uniform", kind: "bottleneck" }] },
      'methods[0].kind: "bottleneck" is not in the space',
    ],
    [
      "a proposal of such a kind",
      { methods: [{ method: "race", proposals: [{ method: "saliency" }, { method: "uniform", kind: "bottleneck" }] }] },
      'methods[0].proposals[1].kind: "bottleneck" is not in the space',
    ],
    [
      "a prior that relates a single task",
      { methods: [search.budgeted({ prior: { tasks: 0.01 } })] },
      "methods[0].prior.tasks: 0.01 relates tasks, and there is one",
    ],
    [
      "such a prior of the search within another method",
      { methods: [search.from("a/b", { mode: "start", search: { method: "paper", prior: { tasks: 1 } } })] },
      "methods[0].search.prior.tasks: 1 relates tasks",
    ],
  ];
  test.each(rows)("%s", (_, change, message) => {
    expect(() => planExperiment({ ...experiment, ...change })).toThrow(message);
  });
});

test("the quickstart is the job that the README describes", () => {
  const plan = planExperiment(quickstart);
  expect(plan.tasks.map((entry) => entry.name)).toEqual(["snips", "qnli"]);
  expect(plan.methods.map((method) => method.name)).toEqual(["budgeted", "head", "uniform", "random", "topLayers"]);
  expect(plan.seeds).toEqual([0, 1, 2]);
});

test("structures and controllers of earlier runs are found from the experiment's folder", () => {
  const methods = [search.from("runs/a/budgeted-seed0"), search.tams({ controller: "runs/a/tams-seed0" })];
  const plan = planExperiment({ ...experiment, methods }, { baseFolder: "/home/me/study" });
  expect(plan.methods[0]).toMatchObject({ structure: "/home/me/study/runs/a/budgeted-seed0" });
  expect(plan.methods[1]).toMatchObject({ controller: "/home/me/study/runs/a/tams-seed0" });
});
