/**
 * Does it pay to let structures and learning rates race? The race beside what it chooses from, on two embedded tasks of 1,000 rows
 * each, three seeds.
 */
import { adapters, baselines, budget, defineExperiment, model, search, task } from "espalier";

export default defineExperiment({
  name: "race",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips"), task.embedded("qnli")],
  space: { kinds: [adapters.lora({ ranks: [1, 2, 3, 4] })] },
  budget: budget.parameters("0.1%"),
  methods: [
    search.race({ fits: 6 }),
    search.budgeted(),
    search.saliency(),
    baselines.uniform(),
    baselines.topLayers({ layers: 2 }),
  ],
  training: { maxSteps: 80, batchSize: 16, learningRate: 3e-3, maxLength: 32, threads: 1 },
  seeds: 3,
});
