/** Two paths a site that two tasks share: which task takes which path is learned, drawn, and exported as one LoRA a task. */
import { adapters, baselines, budget, defineExperiment, model, search, task } from "espalier";

export default defineExperiment({
  name: "paths",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips"), task.embedded("qnli")],
  space: {
    slots: ["attention.query", "attention.value", "mlp.down"],
    kinds: [adapters.lora({ ranks: [1, 2, 4] })],
    paths: 2,
  },
  budget: budget.parameters("0.2%"),
  methods: [search.budgeted({ combine: "softmax" }), baselines.uniform()],
  training: { epochs: 2, batchSize: 32, learningRate: 3e-3, maxLength: 48, threads: 1 },
  seeds: 1,
});
