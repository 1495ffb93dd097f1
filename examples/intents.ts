/** Two kinds of adapters in one space, three ways of finding a structure, on an embedded task. About two minutes on 2 cores. */
import { adapters, baselines, budget, defineExperiment, model, search, task } from "espalier";

export default defineExperiment({
  name: "intents",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips")],
  space: {
    slots: ["attention", "mlp"],
    kinds: [adapters.lora({ ranks: [1, 2, 4, 8] }), adapters.bottleneck({ sizes: [4, 8, 16] })],
  },
  budget: budget.parameters("0.2%"),
  methods: [search.budgeted(), search.saliency(), search.importance(), baselines.uniform(), baselines.head()],
  training: { epochs: 2, batchSize: 32, learningRate: 3e-3, maxLength: 32 },
  seeds: 2,
});
