import { describe, expect, test } from "vitest";
import { EspalierError } from "../../src/errors.js";
import { checkExperiment, nearest } from "../../src/experiment/check.js";

const good = {
  name: "example",
  backbone: { source: "embedded", name: "minilm" },
  tasks: [{ name: "trec", source: "files", train: "train.jsonl", validation: "validation.jsonl" }],
  budget: { parameters: 0.005 },
  methods: [{ method: "budgeted" }],
};

function faultOf(change: object): EspalierError {
  try {
    checkExperiment({ ...good, ...change }, "experiment.json");
  } catch (error) {
    if (error instanceof EspalierError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test.each(["compile", "backboneDropout"])(
  "training.%s and training.gradientCheckpointing exclude each other",
  (field) => {
    expect(faultOf({ training: { [field]: true, gradientCheckpointing: true } }).message).toBe(
      `experiment.json: training.${field}: true cannot be combined with gradientCheckpointing; leave out one of the two`,
    );
  },
);

test("a generation's head, which is the model's own, cannot mix layers", () => {
  const tasks = [
    { name: "t", kind: "generation", source: "files", train: "train.jsonl", validation: "validation.jsonl" },
  ];
  expect(faultOf({ tasks, training: { headLayers: "mixed" } }).message).toBe(
    'experiment.json: training.headLayers: "mixed" is for heads that are trained, and that of a generation is the model\'s own; use "last"',
  );
  expect(checkExperiment({ ...good, tasks }).training.headLayers).toBe("last");
});

describe("an experiment that is right", () => {
  test("gets every default", () => {
    const experiment = checkExperiment(good);
    expect(experiment.seeds).toBe(3);
    expect(experiment.space.kinds).toEqual([{ kind: "lora", ranks: [1, 2, 4, 8], scale: 2 }]);
    expect(experiment.training).toMatchObject({ epochs: 3, batchSize: 32, pooling: "mean", earlyStopping: null });
    expect(experiment.tasks[0]).toMatchObject({
      kind: "classification",
      test: null,
      columns: { textPair: "text_pair" },
    });
  });

  test("may name its schema", () => {
    expect(checkExperiment({ ...good, $schema: "./experiment.schema.json" }).name).toBe("example");
  });
});

describe("rows given in the program", () => {
  const withRows = (kind: string, train: object[]) => ({
    tasks: [{ name: "t", kind, source: "rows", train, test: train }],
  });

  test("are labelled texts, prompts with completions, or texts with choices", () => {
    for (const [kind, row] of [
      ["classification", { text: "a", label: true }],
      ["generation", { prompt: "a", completion: "b" }],
      ["multipleChoice", { text: "a", choices: ["b", "c"], label: 1 }],
    ] as const) {
      const [task] = checkExperiment({ ...good, ...withRows(kind, [row, row]) }).tasks;
      expect(task).toMatchObject({ kind, train: [row, row], maxNewTokens: 32 });
    }
  });

  test.each([
    ["a missing label", { text: "a" }, "tasks[0].train[0].label: is missing"],
    ["a missing completion", { prompt: "a" }, "tasks[0].train[0].completion: is missing"],
    ["an unknown key", { prompt: "a", completion: "b", answer: "c" }, "tasks[0].train[0].answer: unknown key"],
    ["one candidate", { text: "a", choices: ["b"], label: 0 }, 'tasks[0].train[0].choices: ["b"] is too small'],
  ])("with %s are told by the form they are nearest to", (_, row, message) => {
    expect(faultOf(withRows("generation", [row, row])).message).toContain(message);
  });
});

describe("an experiment that is wrong says field, value and what is allowed", () => {
  const rows: [string, object, string][] = [
    ["an unknown key", { bugdet: 1 }, 'experiment.json: bugdet: unknown key; did you mean "budget"?'],
    ["an unknown key further in", { training: { epoch: 3 } }, 'training.epoch: unknown key; did you mean "epochs"?'],
    [
      "an unknown key of a method",
      { methods: [{ method: "paper", sparcity: 1 }] },
      'methods[0].sparcity: unknown key; did you mean "sparsity"?',
    ],
    [
      "an unknown slot",
      { space: { slots: ["attention.querry"] } },
      'space.slots[0]: "attention.querry" is not allowed; did you mean "attention.query"?',
    ],
    [
      "an unknown method",
      { methods: [{ method: "budget" }] },
      'methods[0].method: "budget" is not allowed; did you mean "budgeted"? (allowed: budgeted, paper,',
    ],
    [
      "an unknown kind",
      { space: { kinds: [{ kind: "lora2" }] } },
      'space.kinds[0].kind: "lora2" is not allowed; did you mean "lora"?',
    ],
    ["a missing part", { budget: undefined }, "budget: is missing; it must be an object"],
    ["a missing tag", { backbone: {} }, "backbone.source: is missing; allowed: embedded, folder, hub"],
    ["a wrong type", { training: { epochs: "3" } }, 'training.epochs: "3" is not a number'],
    [
      "a value out of range",
      { training: { batchSize: 0 } },
      "training.batchSize: 0 is too small; it must be at least 1",
    ],
    ["no task", { tasks: [] }, "tasks: [] is too small; it must have at least 1 entry"],
    ["a budget without any limit", { budget: {} }, "budget: {} states no limit; give parameters, stepTime or memory"],
    ["more than a full step", { budget: { stepTime: 1.5 } }, "budget.stepTime: 1.5 is too large; it must be at most 1"],
    ["a budget without its unit", { budget: 0.005 }, "budget: 0.005 is not an object"],
    [
      "two methods of one name",
      { methods: [{ method: "uniform" }, { method: "uniform" }] },
      'methods[1].method: "uniform" is the name of methods[0], too; give one of them another name',
    ],
    [
      "ranks that do not grow",
      { space: { kinds: [{ kind: "lora", ranks: [4, 2] }] } },
      "must grow from one size to the next",
    ],
  ];
  test.each(rows)("%s", (_, change, message) => {
    const fault = faultOf(change);
    expect(fault.message).toContain(message);
    expect(fault.exitCode).toBe(2);
  });

  test("several faults are all named, a line each", () => {
    expect(faultOf({ bugdet: 1, training: { epoch: 3 } }).message.split("\n")).toHaveLength(2);
  });
});

test("the nearest name is found, and none where all are far", () => {
  expect(nearest("unifrom", ["uniform", "random"])).toBe("uniform");
  expect(nearest("zzzzzz", ["uniform", "random"])).toBeUndefined();
});
