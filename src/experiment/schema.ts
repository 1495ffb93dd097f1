/**
 * The contract: what a user may write (Experiment) and what crosses to Python (Plan). Types are inferred from these schemas,
 * JSON Schema and the pydantic models are generated from them (`npm run contract`), and nothing else defines either.
 */
import { z } from "zod";

export const linearSlots = [
  "attention.query",
  "attention.key",
  "attention.value",
  "attention.output",
  "mlp.up",
  "mlp.gate",
  "mlp.down",
] as const;
export const blockSlots = ["attention", "mlp", "block"] as const;

const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "must start with a letter or digit and hold only letters, digits, '.', '_' and '-' (at most 64)",
  );
const count = z.int().min(1);
const rate = z.number().positive().max(10);

export const SlotSchema = z
  .enum([...linearSlots, ...blockSlots])
  .describe("a place inside a layer: one of its linears, or a whole sub-block")
  .meta({ id: "Slot" });

// --- backbone ------------------------------------------------------------------------------------------------------

const trustRemoteCode = z.boolean().default(false).describe("run Python code that comes with the model");

export const EmbeddedBackboneSchema = z
  .strictObject({
    source: z.literal("embedded"),
    name: z.enum(["minilm"]).describe("minilm: all-MiniLM-L6-v2, 6 layers x 384"),
  })
  .meta({ id: "EmbeddedBackbone" });
export const FolderBackboneSchema = z
  .strictObject({
    source: z.literal("folder"),
    path: z.string().min(1).describe("a folder with config.json, tokeniser and safetensors weights"),
    trustRemoteCode,
  })
  .meta({ id: "FolderBackbone" });
export const HubBackboneSchema = z
  .strictObject({
    source: z.literal("hub"),
    id: z.string().min(1).describe("a model's name on the Hub, such as FacebookAI/roberta-base"),
    revision: z.string().min(1).default("main").describe("branch, tag or commit"),
    trustRemoteCode,
  })
  .meta({ id: "HubBackbone" });
export const BackboneSchema = z
  .discriminatedUnion("source", [EmbeddedBackboneSchema, FolderBackboneSchema, HubBackboneSchema])
  .meta({ id: "Backbone" });

// --- tasks ---------------------------------------------------------------------------------------------------------

export const metrics = ["accuracy", "f1", "matthews", "pearson", "spearman"] as const;
export const MetricSchema = z.enum(metrics).meta({ id: "Metric" });
export const TaskKindSchema = z
  .enum(["classification", "regression"])
  .describe("classification also covers pairs: rows that carry text_pair")
  .meta({ id: "TaskKind" });

const ColumnsSchema = z
  .strictObject({
    text: z.string().min(1).default("text"),
    textPair: z.string().min(1).default("text_pair"),
    label: z.string().min(1).default("label"),
  })
  .meta({ id: "Columns" });
const columns = ColumnsSchema.prefault({}).describe("names of the columns that hold text, second text and label");

export const RowSchema = z
  .strictObject({
    text: z.string(),
    text_pair: z.string().optional(),
    label: z.union([z.string(), z.number(), z.boolean()]),
  })
  .meta({ id: "Row" });

const taskFields = {
  name: name.describe("how the task is called in tables and records"),
  kind: TaskKindSchema.default("classification"),
  metric: MetricSchema.nullable().default(null).describe("null: accuracy for classification, pearson for regression"),
};

export const FilesTaskSchema = z
  .strictObject({
    ...taskFields,
    source: z.literal("files"),
    train: z.string().min(1).describe("path of a JSONL, CSV, TSV or Parquet file"),
    validation: z.string().min(1).nullable().default(null),
    test: z.string().min(1).nullable().default(null).describe("the evaluation split; without it, validation is"),
    columns,
  })
  .meta({ id: "FilesTask" });
export const EmbeddedTaskSchema = z
  .strictObject({ ...taskFields, source: z.literal("embedded"), id: z.enum(["snips", "qnli"]) })
  .meta({ id: "EmbeddedTask" });
export const HubTaskSchema = z
  .strictObject({
    ...taskFields,
    source: z.literal("hub"),
    id: z.string().min(1).describe("a dataset's name on the Hub"),
    config: z.string().min(1).nullable().default(null),
    revision: z.string().min(1).default("main"),
    train: z.string().min(1).default("train").describe("name of the training split"),
    evaluation: z.string().min(1).default("validation").describe("name of the evaluation split"),
    columns,
  })
  .meta({ id: "HubTask" });
export const RowsTaskSchema = z
  .strictObject({
    ...taskFields,
    source: z.literal("rows"),
    train: z.array(RowSchema).min(2),
    validation: z.array(RowSchema).min(1).nullable().default(null),
    test: z.array(RowSchema).min(1).nullable().default(null),
  })
  .meta({ id: "RowsTask" });
export const TaskSchema = z
  .discriminatedUnion("source", [FilesTaskSchema, EmbeddedTaskSchema, HubTaskSchema, RowsTaskSchema])
  .meta({ id: "Task" });

// --- space and budget ----------------------------------------------------------------------------------------------

const sizes = (fallback: number[]) =>
  z
    .array(z.int().min(1).max(4096))
    .min(1)
    .refine((values) => values.every((value, index) => index === 0 || value > values[index - 1]!), {
      message: "must grow from one size to the next",
    })
    .default(fallback);

export const LoraKindSchema = z
  .strictObject({
    kind: z.literal("lora"),
    ranks: sizes([1, 2, 4, 8]).describe("ranks a site may have; each step to the next is one candidate"),
    scale: z.number().positive().default(2).describe("s in h + s B A x"),
  })
  .meta({ id: "LoraKind" });
export const BottleneckKindSchema = z
  .strictObject({
    kind: z.literal("bottleneck"),
    sizes: sizes([8, 16, 32]).describe("widths a site may have; each step to the next is one candidate"),
    activation: z.enum(["gelu", "relu", "tanh"]).default("gelu"),
    scale: z.number().positive().default(1).describe("s in h + s W_up f(W_down h)"),
  })
  .meta({ id: "BottleneckKind" });
export const KindSchema = z.discriminatedUnion("kind", [LoraKindSchema, BottleneckKindSchema]).meta({ id: "Kind" });

export const SpaceSchema = z
  .strictObject({
    slots: z
      .array(SlotSchema)
      .min(1)
      .default(["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"])
      .describe("where adapters may attach; for LoRA, attention and mlp stand for all linears inside"),
    layers: z.array(z.int().min(0)).min(1).nullable().default(null).describe("layers that may be adapted; null: all"),
    kinds: z
      .array(KindSchema)
      .min(1)
      .prefault([{ kind: "lora" }]),
  })
  .meta({ id: "Space" });

export const BudgetSchema = z
  .strictObject({
    parameters: z
      .number()
      .positive()
      .describe(
        "the most parameters that all chosen candidates together may have, heads not counted: below 1 a fraction of the backbone, else a count",
      ),
  })
  .meta({ id: "Budget" });

// --- methods -------------------------------------------------------------------------------------------------------

const methodName = {
  name: name.optional().describe("how rows and comparisons call it; default: the method's own name"),
};
const searchFields = {
  ...methodName,
  fit: z
    .enum(["retrain", "continue"])
    .default("retrain")
    .describe("retrain: fit the structure from fresh adapters; continue: from the searched ones"),
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
const gateLearningRate = z.number().positive().default(0.05).describe("learning rate of the gates' logits");
const taskGateLearningRate = z
  .number()
  .min(0)
  .default(0.005)
  .describe("learning rate of what sets a task's logits apart from the shared ones; 0: all tasks share one structure");
const anneal = z.number().min(0).max(1);

export const BudgetedMethodSchema = z
  .strictObject({
    method: z.literal("budgeted"),
    ...trainedSearchFields,
    gateLearningRate,
    taskGateLearningRate,
    temperature: z
      .tuple([z.number().positive(), z.number().positive()])
      .default([1, 0.25])
      .describe("tau at the first and at the last step"),
    budgetReached: anneal.default(0.6).describe("share of the steps after which B(step) has come down to the budget"),
    noise: z.boolean().default(true).describe("false: z = p instead of a Bernoulli draw"),
  })
  .meta({ id: "BudgetedMethod" });
export const PaperMethodSchema = z
  .strictObject({
    method: z.literal("paper"),
    ...trainedSearchFields,
    gateLearningRate,
    taskGateLearningRate,
    sparsity: z.number().min(0).default(1).describe("lambda, the weight of the cost-weighted mean of the gates"),
  })
  .meta({ id: "PaperMethod" });
export const ImportanceMethodSchema = z
  .strictObject({
    method: z.literal("importance"),
    ...trainedSearchFields,
    smoothing: z.number().min(0).lt(1).default(0.85).describe("decay of the running sensitivity and uncertainty"),
    warmup: anneal.default(0.1).describe("share of the steps with every gate open"),
    budgetReached: anneal.default(0.6),
  })
  .meta({ id: "ImportanceMethod" });
export const SaliencyMethodSchema = z
  .strictObject({
    method: z.literal("saliency"),
    ...searchFields,
    batches: count.default(16).describe("batches a task whose loss gradients are read"),
  })
  .meta({ id: "SaliencyMethod" });
const kindOfBaseline = z
  .enum(["lora", "bottleneck"])
  .nullable()
  .default(null)
  .describe("null: the first kind of the space");
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
export const HeadMethodSchema = z.strictObject({ method: z.literal("head"), ...methodName }).meta({ id: "HeadMethod" });
export const MethodSchema = z
  .discriminatedUnion("method", [
    BudgetedMethodSchema,
    PaperMethodSchema,
    ImportanceMethodSchema,
    SaliencyMethodSchema,
    UniformMethodSchema,
    TopLayersMethodSchema,
    RandomMethodSchema,
    HeadMethodSchema,
  ])
  .meta({ id: "Method" });

// --- training ------------------------------------------------------------------------------------------------------

export const EarlyStoppingSchema = z
  .strictObject({
    fraction: z.number().gt(0).lt(1).default(0.1).describe("share of train that is held out for it"),
    patience: count.default(2).describe("epochs without a better held-out loss before the fit ends"),
  })
  .meta({ id: "EarlyStopping" });

export const TrainingSchema = z
  .strictObject({
    epochs: z.number().positive().default(3),
    maxSteps: count.nullable().default(null).describe("end earlier, after so many optimiser steps"),
    batchSize: count.default(32).describe("rows an optimiser step"),
    maxTokens: z
      .int()
      .min(16)
      .default(8192)
      .describe("padded tokens that go through the model at once; more are accumulated"),
    learningRate: rate.default(1e-3),
    schedule: z.enum(["linear", "constant"]).default("linear").describe("after the warm-up"),
    warmup: anneal.default(0.06).describe("share of the steps over which the learning rate rises"),
    weightDecay: z.number().min(0).default(0.01),
    gradientClip: z.number().positive().default(1).describe("largest norm of the gradient"),
    maxLength: z.int().min(4).default(128).describe("word pieces a row is cut to"),
    pooling: z
      .enum(["mean", "first"])
      .default("mean")
      .describe("what the head reads: mean of the tokens, or the first"),
    headInit: z
      .enum(["probe", "zero"])
      .default("probe")
      .describe("probe: the head starts as a linear model fitted on the frozen backbone's features"),
    earlyStopping: EarlyStoppingSchema.nullable().default(null),
    device: z.enum(["auto", "cpu", "cuda"]).default("auto"),
    threads: count.nullable().default(null).describe("CPU threads; null: torch's own choice"),
  })
  .meta({ id: "Training" });

// --- experiment (what a user writes) -------------------------------------------------------------------------------

export const ExperimentSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: name.describe("the run directory's name starts with it"),
    backbone: BackboneSchema,
    tasks: z.array(TaskSchema).min(1).refine(distinctNames, { message: "two tasks have the same name" }),
    space: SpaceSchema.prefault({}),
    budget: BudgetSchema,
    methods: z
      .array(MethodSchema)
      .min(1)
      .refine((methods) => distinctNames(methods.map((entry) => ({ name: entry.name ?? entry.method }))), {
        message: "two methods have the same name; give one of them another `name`",
      })
      .describe("the first is the answer: it is exported and compared with each of the others"),
    training: TrainingSchema.prefault({}),
    seeds: z
      .union([z.int().min(1).max(1000), z.array(z.int().min(0)).min(1)])
      .default(3)
      .describe("how many seeds (0, 1, ...), or the seeds themselves"),
  })
  .meta({ id: "Experiment" });

// --- plan (what crosses to Python) ---------------------------------------------------------------------------------

export const TrialSchema = z
  .strictObject({
    id: z.string().describe("method, draw and seed, as a folder's name"),
    method: name.describe("the name of one of the plan's methods"),
    draw: z.int().min(0).describe("which of a random method's structures; 0 elsewhere"),
    seed: z.int().min(0),
  })
  .meta({ id: "Trial" });

export const PlanSchema = z
  .strictObject({
    version: z.literal(1),
    name,
    backbone: BackboneSchema,
    tasks: z.array(TaskSchema).min(1),
    space: SpaceSchema,
    budget: BudgetSchema,
    methods: z.array(MethodSchema).min(1),
    training: TrainingSchema,
    seeds: z.array(z.int().min(0)).min(1),
    trials: z.array(TrialSchema).min(1),
  })
  .meta({ id: "Plan" });

export type Slot = z.output<typeof SlotSchema>;
export type ExperimentInput = z.input<typeof ExperimentSchema>;
export type Experiment = z.output<typeof ExperimentSchema>;
export type Plan = z.output<typeof PlanSchema>;
export type Trial = z.output<typeof TrialSchema>;
export type Method = z.output<typeof MethodSchema>;
export type MethodInput = z.input<typeof MethodSchema>;
export type KindInput = z.input<typeof KindSchema>;
export type TaskInput = z.input<typeof TaskSchema>;
export type BackboneInput = z.input<typeof BackboneSchema>;
export type Row = z.input<typeof RowSchema>;

function distinctNames(entries: readonly { name: string }[]): boolean {
  return new Set(entries.map((entry) => entry.name)).size === entries.length;
}
