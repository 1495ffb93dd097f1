/** Experiments that ship with Espalier. */
import { baselines, budget, defineExperiment, model, search, task } from "./define.js";

/** The main job: two real tasks on the embedded encoder, a search, and what a person would have picked at the same budget. */
export const quickstart = defineExperiment({
  name: "quickstart",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips"), task.embedded("qnli")],
  budget: budget.parameters("0.5%"),
  methods: [
    search.budgeted(),
    baselines.head(),
    baselines.uniform(),
    baselines.random({ draws: 3 }),
    baselines.topLayers({ layers: 2 }),
  ],
  // Parts of 1,024 tokens stay in a CPU's cache; evaluation is a quarter faster than in large ones.
  training: { epochs: 0.8, batchSize: 16, learningRate: 3e-3, maxLength: 48, maxTokens: 1024 },
  seeds: 3,
});
