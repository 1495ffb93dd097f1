/**
 * Does a learned structure score higher than a hand-picked one of equal size? Four structures on one task, three seeds.
 *
 *     STUDY_TASK=trec STUDY_BUDGET=0.1% STUDY_DATA=../shared/data espalier run examples/structure-study.ts
 *
 * STUDY_DATA holds a folder a task with train.jsonl, validation.jsonl and, where there is one, test.jsonl.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { baselines, budget, defineExperiment, model, search, task } from "espalier";

const name = process.env.STUDY_TASK ?? "trec";
const share = (process.env.STUDY_BUDGET ?? "0.1%") as `${number}%`;
const folder = path.resolve(process.env.STUDY_DATA ?? "../shared/data", name);
const split = (part: string) => path.join(folder, `${part}.jsonl`);

export default defineExperiment({
  name: `study-${name}-${share.replace("%", "")}`,
  backbone: model.miniLM(),
  tasks: [
    task.files(name, {
      train: split("train"),
      validation: split("validation"),
      ...(existsSync(split("test")) ? { test: split("test") } : {}),
    }),
  ],
  budget: budget.parameters(share),
  methods: [search.budgeted(), search.saliency(), baselines.uniform(), baselines.random({ draws: 3 })],
  training: { epochs: 2, batchSize: 32, learningRate: 3e-3, maxLength: 96, threads: 1 },
  seeds: 3,
});
