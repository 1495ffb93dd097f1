/**
 * Does it help to learn the gates on rows that the weights never see, or to check the candidates near the cut? Two embedded tasks
 * of 1,000 rows each, three seeds.
 */
import { adapters, baselines, budget, defineExperiment, model, search, task } from "espalier";

export default defineExperiment({
  name: "search-levels",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips"), task.embedded("qnli")],
  space: { kinds: [adapters.lora({ ranks: [1, 2, 3, 4] })] },
  budget: budget.parameters("0.1%"),
  methods: [
    search.budgeted(),
    search.budgeted({ name: "bilevel", level: "bilevel" }),
    search.budgeted({ name: "checked", ablation: { candidates: 8 } }),
    baselines.uniform(),
  ],
  training: { maxSteps: 80, batchSize: 16, learningRate: 3e-3, maxLength: 32, threads: 1 },
  seeds: 3,
});
