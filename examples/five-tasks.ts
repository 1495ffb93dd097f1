/**
 * Five tasks over one pool of adapters: where they share a site, and where one has a site of its own.
 *
 *     STUDY_DATA=../shared/data espalier run examples/five-tasks.ts
 *     espalier structure latest
 *
 * STUDY_DATA holds a folder a task with train.jsonl, validation.jsonl and, where there is one, test.jsonl.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { baselines, budget, defineExperiment, model, search, task } from "espalier";

const folder = path.resolve(process.env.STUDY_DATA ?? "../shared/data");
const ofFolder = (name: string) => {
  const split = (part: string) => path.join(folder, name, `${part}.jsonl`);
  const evaluated = existsSync(split("test")) ? { test: split("test") } : { validation: split("validation") };
  return task.files(name, { train: split("train"), ...evaluated });
};

export default defineExperiment({
  name: "five-tasks",
  backbone: model.miniLM(),
  tasks: ["trec", "cola", "mnli", "rte", "qnli"].map(ofFolder),
  budget: budget.parameters("0.5%"),
  methods: [search.budgeted(), baselines.uniform()],
  training: { maxSteps: 150, batchSize: 16, learningRate: 3e-3, maxLength: 96 },
  seeds: 1,
});
