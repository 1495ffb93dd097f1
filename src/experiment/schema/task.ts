/** Labelled data: where it comes from, what kind of answer it wants, and how it is scored. */
import { z } from "zod";
import { name } from "./fields.js";

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

export type TaskInput = z.input<typeof TaskSchema>;
export type Row = z.input<typeof RowSchema>;
