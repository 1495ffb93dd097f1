/** The experiments that several scripts share, so that a trial of one is found by the others. */
import { adapters, baselines, budget, defineExperiment, type ExperimentDefinition, search } from "../../src/index.js";
import type { Options } from "./options.js";
import { backboneFor, pairOfTasks, sizesFor, trainingFor, tuneFor } from "./settings.js";

type Method = ExperimentDefinition["methods"][number];

/** The paper's budget for its own method. */
const share = "1.4%";

/** The methods of the published table by the name that rows have here. */
export const published = {
  full: "full",
  lora: "lora",
  prefix: "prefix",
  adapterFusion: "adapterFusion",
  "sparsity-1": "structureLearnable",
  budgeted: "structureLearnable",
} as const;

const labels: Record<string, string> = {
  full: "full fine-tuning",
  lora: "LoRA (PEFT)",
  prefix: "prefix tuning (PEFT)",
  adapterFusion: "AdapterFusion",
  "sparsity-1": "ours, the paper's gate",
  budgeted: "ours, default",
  uniform: "uniform at the same budget",
};

/** What a method is called in tables and figures. */
export function labelOf(method: string): string {
  return labels[method] ?? method;
}

/** Every method of the table on both tasks, in one run: the tasks are trained together. */
export function mainExperiment(options: Options): ExperimentDefinition {
  const { loraRank, prefixTokens, fusion } = sizesFor(options);
  return ofPair(options, "table-main", [
    search.budgeted(),
    paper(),
    baselines.uniform(),
    baselines.fullFineTuning({ learningRate: fullRate(options) }),
    baselines.lora({ rank: loraRank, slots: ["attention"] }),
    baselines.prefix({ tokens: prefixTokens, learningRate: 3 * rateOf(options) }),
    baselines.adapterFusion(fusion),
  ]);
}

/** Those of the table that noise is looked at: ours in both presets, the same budget spread evenly, and full fine-tuning. */
export function noiseExperiment(options: Options): ExperimentDefinition {
  const wanted = ["budgeted", "paper", "uniform", "full"];
  const main = mainExperiment(options);
  return { ...main, name: "figure-noise", methods: main.methods.filter(({ method }) => wanted.includes(method)) };
}

/** The paper's preset: its gate with its sparsity term, of weight 1. */
export function paper(): Method {
  return search.paper({ name: "sparsity-1", sparsity: 1 });
}

/** An experiment of the table's tasks, space, budget and training. */
export function ofPair(options: Options, name: string, methods: Method[]): ExperimentDefinition {
  return defineExperiment({
    name,
    backbone: backboneFor(options),
    tasks: pairOfTasks(options),
    space: space(options),
    budget: budget.parameters(share),
    methods,
    training: trainingFor(options),
    ...tuneFor(options),
    seeds: options.seeds,
  });
}

/** Bottlenecks after attention and MLP, as the paper's adapters, in chunks that let a uniform structure use the budget. */
export function space({ scale }: Options): NonNullable<ExperimentDefinition["space"]> {
  const sizes = scale === "paper" ? [16, 32, 48, 64, 96] : [8, 16, 24, 32, 48];
  return { slots: ["attention", "mlp"], kinds: [adapters.bottleneck({ sizes })] };
}

function rateOf(options: Options): number {
  return trainingFor(options).learningRate!;
}

/** Whole weights want a rate about thirty times below that of adapters. */
function fullRate(options: Options): number {
  return rateOf(options) / 30;
}
