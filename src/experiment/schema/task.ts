/** Labelled data: where it comes from, what kind of answer it wants, and how it is scored. */
import { z } from "zod";
import { count, name } from "./fields.js";

export const metrics = ["accuracy", "f1", "matthews", "pearson", "spearman", "exactMatch", "rougeL"] as const;
export const MetricSchema = z.enum(metrics).meta({ id: "Metric" });
export const taskKinds = ["classification", "regression", "multipleChoice", "generation"] as const;
export const TaskKindSchema = z
  .enum(taskKinds)
  .describe(
    "classification also covers pairs: rows that carry text_pair; multipleChoice: a text with candidates, each of which is" +
      " scored; generation: a decoder learns to complete a prompt",
  )
  .meta({ id: "TaskKind" });

/** What each kind of task can be scored by; the first is the default. */
export const metricsOf: Record<(typeof taskKinds)[number], readonly (typeof metrics)[number][]> = {
  classification: ["accuracy", "f1", "matthews", "pearson", "spearman"],
  regression: ["pearson", "spearman"],
  multipleChoice: ["accuracy"],
  generation: ["exactMatch", "rougeL"],
};

const ColumnsSchema = z
  .strictObject({
    text: z.string().min(1).default("text"),
    textPair: z.string().min(1).default("text_pair"),
    label: z.string().min(1).default("label"),
    prompt: z.string().min(1).default("prompt").describe("of a generation"),
    completion: z.string().min(1).default("completion").describe("of a generation: what is to follow the prompt"),
    choices: z
      .string()
      .min(1)
      .default("choices")
      .describe("of a multipleChoice: the list of candidates; label is the right one's place from 0 on, or its text"),
  })
  .meta({ id: "Columns" });
const columns = ColumnsSchema.prefault({}).describe(
  "names of the columns that hold text, second text and label, or prompt and completion",
);

export const RowSchema = z
  .strictObject({
    text: z.string(),
    text_pair: z.string().optional(),
    label: z.union([z.string(), z.number(), z.boolean()]),
  })
  .meta({ id: "Row" });
export const PromptRowSchema = z
  .strictObject({ prompt: z.string().min(1), completion: z.string().min(1) })
  .describe("of a generation")
  .meta({ id: "PromptRow" });
export const ChoiceRowSchema = z
  .strictObject({
    text: z.string(),
    choices: z.array(z.string()).min(2),
    label: z.union([z.string(), z.number()]).describe("the right candidate's place from 0 on, or its text"),
  })
  .describe("of a multipleChoice")
  .meta({ id: "ChoiceRow" });
const row = z.union([RowSchema, PromptRowSchema, ChoiceRowSchema]);

const taskFields = {
  name: name.describe("how the task is called in tables and records"),
  kind: TaskKindSchema.default("classification"),
  metric: MetricSchema.nullable()
    .default(null)
    .describe(
      "null: accuracy for classification and multipleChoice, pearson for regression, exactMatch for generation",
    ),
  maxNewTokens: count
    .default(32)
    .describe("of a generation: tokens that a completion may have; of training.maxLength the prompt gets the rest"),
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
    train: z.array(row).min(2),
    validation: z.array(row).min(1).nullable().default(null),
    test: z.array(row).min(1).nullable().default(null),
  })
  .meta({ id: "RowsTask" });
export const TaskSchema = z
  .discriminatedUnion("source", [FilesTaskSchema, EmbeddedTaskSchema, HubTaskSchema, RowsTaskSchema])
  .meta({ id: "Task" });

export type TaskInput = z.input<typeof TaskSchema>;
export type Row = z.input<typeof row>;
