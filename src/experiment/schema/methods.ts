/** What finds a structure: searches, and the structures a person would pick by hand. */
import { z } from "zod";
import { baselineSchemas } from "./baselines.js";
import { count, methodFields, share } from "./fields.js";
import { kindNames } from "./kinds.js";

const methodName = methodFields;
const searchFields = {
  ...methodName,
  fit: z
    .enum(["retrain", "continue"])
    .default("retrain")
    .describe("retrain: fit the structure from fresh adapters; continue: from the searched ones"),
  layers: count
    .nullable()
    .default(null)
    .describe("how many of the last layers the structure may adapt: a step costs what its depth costs; null: all"),
};
const trainedSearchFields = {
  ...searchFields,
  epochs: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe("passes over the data; null: as many as training.epochs"),
};
export const AblationSchema = z
  .strictObject({
    candidates: count.default(8).describe("how many on each side of the cut are switched, one at a time"),
  })
  .meta({ id: "Ablation" });
const strength = z.number().min(0).max(1000).default(0);
export const PriorSchema = z
  .strictObject({
    tasks: strength.describe(
      "mu of mu tr(a' L a): draws the rows of tasks together whose gate gradients agree (2511.03981)",
    ),
    depth: strength.describe("gamma: draws the logits of like candidates in neighbouring layers together (2504.19583)"),
    filter: strength.describe("tau of the low-pass filter 1 / (1 + tau lambda) of the logits' gradient along depth"),
  })
  .meta({ id: "Prior" });
/** What the methods that learn gates by gradient share. */
const learnedGateFields = {
  ...trainedSearchFields,
  gateLearningRate: z.number().positive().default(0.05).describe("learning rate of the gates' logits"),
  taskGateLearningRate: z
    .number()
    .min(0)
    .default(0.005)
    .describe(
      "learning rate of what sets a task's logits apart from the shared ones; 0: all tasks share one structure",
    ),
  combine: z
    .enum(["gate", "softmax", "bernoulli"])
    .default("gate")
    .describe(
      "how a task combines a site's paths: gate: each under its own gate; softmax: shares that sum to 1; bernoulli: random choices, normalised, as Polytropon",
    ),
  level: z
    .enum(["single", "bilevel"])
    .default("single")
    .describe("single: weights and gates learn from the same rows; bilevel: gates from rows the weights never see"),
  gateFraction: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.2)
    .describe("share of train that is held out from the search's weights, where bilevel gates or the ablation need it"),
  ablation: AblationSchema.nullable()
    .default(null)
    .describe("check the candidates nearest the cut by the held-out loss with each switched"),
  prior: PriorSchema.nullable()
    .default(null)
    .describe("what is expected of the logits beside the loss; null, like a strength of 0: nothing"),
};

/** What the searches share that spend the budget exactly. */
const annealedFields = {
  temperature: z
    .tuple([z.number().positive(), z.number().positive()])
    .default([1, 0.25])
    .describe("tau at the first and at the last step"),
  budgetReached: share.default(0.6).describe("share of the steps after which B(step) has come down to the budget"),
};

export const BudgetedMethodSchema = z
  .strictObject({
    method: z.literal("budgeted"),
    ...learnedGateFields,
    ...annealedFields,
    noise: z.boolean().default(true).describe("false: z = p instead of a Bernoulli draw"),
  })
  .meta({ id: "BudgetedMethod" });
export const PaperMethodSchema = z
  .strictObject({
    method: z.literal("paper"),
    ...learnedGateFields,
    sparsity: z.number().min(0).default(1).describe("lambda, the weight of the cost-weighted mean of the gates"),
  })
  .meta({ id: "PaperMethod" });
export const ImportanceMethodSchema = z
  .strictObject({
    method: z.literal("importance"),
    ...trainedSearchFields,
    smoothing: z.number().min(0).lt(1).default(0.85).describe("decay of the running sensitivity and uncertainty"),
    warmup: share.default(0.1).describe("share of the steps with every gate open"),
    budgetReached: share.default(0.6),
  })
  .meta({ id: "ImportanceMethod" });
export const SaliencyMethodSchema = z
  .strictObject({
    method: z.literal("saliency"),
    ...searchFields,
    batches: count.default(16).describe("batches a task whose loss gradients are read"),
  })
  .meta({ id: "SaliencyMethod" });
const probedRows = count.default(64).describe("training rows a task that are read, one at a time");
export const FisherMethodSchema = z
  .strictObject({ method: z.literal("fisher"), ...searchFields, rows: probedRows })
  .meta({ id: "FisherMethod" });
export const EvaMethodSchema = z
  .strictObject({ method: z.literal("eva"), ...searchFields, rows: probedRows })
  .meta({ id: "EvaMethod" });
export const SoraMethodSchema = z
  .strictObject({
    method: z.literal("sora"),
    ...trainedSearchFields,
    fit: z
      .literal("retrain")
      .default("retrain")
      .describe("from fresh adapters: the searched ones are scaled by gates of any size, which a structure has not"),
    gateLearningRate: z.number().positive().default(0.05).describe("learning rate of the gates"),
    warmup: share.default(0.1).describe("share of the steps before gates are shrunk"),
    budgetReached: share.default(0.6).describe("share of the steps after which the open gates cost the budget"),
  })
  .meta({ id: "SoraMethod" });
export const LearnableRankMethodSchema = z
  .strictObject({
    method: z.literal("learnableRank"),
    ...trainedSearchFields,
    gateLearningRate: z.number().positive().default(0.05).describe("learning rate of the ranks, in chunks"),
    taskGateLearningRate: z
      .number()
      .min(0)
      .default(0.005)
      .describe("learning rate of what sets a task's ranks apart; 0: all tasks share one structure"),
    ...annealedFields,
    noise: z.boolean().default(false).describe("true: chunks are open by chance, as in budgeted"),
  })
  .meta({ id: "LearnableRankMethod" });
export const TamsMethodSchema = z
  .strictObject({
    method: z.literal("tams"),
    ...trainedSearchFields,
    gateLearningRate: z.number().positive().default(0.05).describe("learning rate of the logits that tasks share"),
    taskGateLearningRate: z.number().positive().default(0.005).describe("learning rate of the controller"),
    ...annealedFields,
    noise: z.boolean().default(true).describe("false: z = p instead of a Bernoulli draw"),
    width: count.default(32).describe("of the controller's hidden layer"),
    controller: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "an earlier trial of tams, its folder or RUN/TRIAL: its controller proposes the structure for these tasks, and nothing is searched",
      ),
  })
  .meta({ id: "TamsMethod" });
export const FromMethodSchema = z
  .strictObject({
    method: z.literal("from"),
    ...methodName,
    structure: z.string().min(1).describe("an earlier structure: its structure.json, its trial's folder, or RUN/TRIAL"),
    mode: z
      .enum(["fit", "start", "freeze"])
      .default("fit")
      .describe(
        "fit: take the structure as it is; start: a search whose gates begin at it; freeze: keep its candidates, and search the rest of the budget",
      ),
    search: z
      .discriminatedUnion("method", [BudgetedMethodSchema, PaperMethodSchema])
      .prefault({ method: "budgeted" })
      .describe("the search of start and freeze"),
    strength: z
      .number()
      .positive()
      .default(2)
      .describe("start: the logit that the structure's candidates begin with; the others begin at 0"),
  })
  .meta({ id: "FromMethod" });
const kindOfBaseline = z
  .enum(["all", ...kindNames])
  .nullable()
  .default(null)
  .describe('null: the first kind of the space; "all": every kind of it');
export const UniformMethodSchema = z
  .strictObject({ method: z.literal("uniform"), ...methodName, kind: kindOfBaseline })
  .meta({ id: "UniformMethod" });
export const TopLayersMethodSchema = z
  .strictObject({
    method: z.literal("topLayers"),
    ...methodName,
    layers: count.default(2).describe("how many of the last layers carry adapters"),
    kind: kindOfBaseline,
  })
  .meta({ id: "TopLayersMethod" });
export const RandomMethodSchema = z
  .strictObject({
    method: z.literal("random"),
    ...methodName,
    draws: z.int().min(1).max(100).default(3).describe("random structures in all, shared out over the seeds"),
  })
  .meta({ id: "RandomMethod" });
const searches = [
  BudgetedMethodSchema,
  PaperMethodSchema,
  ImportanceMethodSchema,
  SaliencyMethodSchema,
  FisherMethodSchema,
  EvaMethodSchema,
  SoraMethodSchema,
  LearnableRankMethodSchema,
] as const;
const fixedStructures = [UniformMethodSchema, TopLayersMethodSchema, RandomMethodSchema] as const;
/** What can propose a structure to a race. */
export const ProposalSchema = z
  .discriminatedUnion("method", [...searches, ...fixedStructures])
  .meta({ id: "Proposal" });
export const RaceMethodSchema = z
  .strictObject({
    method: z.literal("race"),
    ...methodName,
    proposals: z
      .array(ProposalSchema)
      .min(1)
      .prefault([
        { method: "budgeted" },
        { method: "saliency" },
        { method: "uniform" },
        { method: "topLayers" },
        { method: "random", draws: 1 },
      ])
      .describe("whose structures run against each other"),
    rateFactors: z
      .array(z.number().positive().max(1000))
      .min(1)
      .refine((factors) => new Set(factors).size === factors.length, { message: "names a factor twice" })
      .default([0.3, 1, 3])
      .describe("each structure runs at the learning rate times each of these"),
    fits: z
      .number()
      .positive()
      .default(6)
      .describe("the most that the race may cost, its proposals' searches included, in fits of the training's length"),
    heldOut: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.2)
      .describe("share of train that the race decides on, which its fits never see"),
  })
  .meta({ id: "RaceMethod" });
export const SeparateMethodSchema = z
  .strictObject({ method: z.literal("separate"), ...methodName, kind: kindOfBaseline })
  .meta({ id: "SeparateMethod" });
export const HeadMethodSchema = z.strictObject({ method: z.literal("head"), ...methodName }).meta({ id: "HeadMethod" });
export const MethodSchema = z
  .discriminatedUnion("method", [
    ...searches,
    TamsMethodSchema,
    FromMethodSchema,
    RaceMethodSchema,
    ...fixedStructures,
    SeparateMethodSchema,
    HeadMethodSchema,
    ...baselineSchemas,
  ])
  .meta({ id: "Method" });

export type Method = z.output<typeof MethodSchema>;
export type MethodInput = z.input<typeof MethodSchema>;
