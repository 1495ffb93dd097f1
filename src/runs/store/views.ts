/** The views over all runs: what each is called, what a row of it is, and its columns with types and units. */
import { z } from "zod";
import {
  ComparisonTableSchema,
  GateTableSchema,
  PredictionTableSchema,
  ResultTableSchema,
} from "../../experiment/tables.js";

export interface Column {
  /** A type of DuckDB. */
  type: string;
  says: string;
}

export interface View {
  name: string;
  /** What one row is. */
  row: string;
  columns: Record<string, Column>;
}

const column = (type: string, says: string): Column => ({ type, says });
const run = { run: column("VARCHAR", "the run directory's name") };
const trial = { ...run, trial: column("VARCHAR", "the trial's id, such as budgeted-seed0") };

export const views = [
  {
    name: "runs",
    row: "a run directory, a damaged one included",
    columns: {
      ...run,
      directory: column("VARCHAR", "its path"),
      state: column("VARCHAR", "done, failed, running, interrupted, damaged, or newer: made by a newer Espalier"),
      problem: column("VARCHAR", "why nothing of it is read; null where it is"),
      name: column("VARCHAR", "the experiment's name"),
      started: column("TIMESTAMP", "UTC"),
      seconds: column("DOUBLE", "from start to end; null until it has ended"),
      backbone: column("VARCHAR", "the embedded name, the folder, or the name on the Hub"),
      tasks: column("VARCHAR[]", "in the order of the experiment"),
      methods: column("VARCHAR[]", "the first is the answer"),
      seeds: column("INTEGER", "how many"),
      trials: column("INTEGER", "how many the plan has"),
      full_step_ms: column("DOUBLE", "one step with every candidate attached, milliseconds"),
      warnings: column("VARCHAR[]", "what the run said should be known"),
    },
  },
  {
    name: "results",
    row: "a task and method of a run that has ended: a line of its table, and of its results.parquet",
    columns: { ...run, ...columnsOf(ResultTableSchema) },
  },
  {
    name: "comparisons",
    row: "the answer of a run against one of its rivals, on one task, as in its comparisons.parquet",
    columns: { ...run, ...columnsOf(ComparisonTableSchema) },
  },
  {
    name: "exports",
    row: "an adapter that was exported",
    columns: {
      ...run,
      task: column("VARCHAR", "null: all tasks together"),
      format: column("VARCHAR", "peft, merged, native, onnx"),
      path: column("VARCHAR", ""),
      trial: column("VARCHAR", "the trial it was taken from"),
      max_difference: column("DOUBLE", "largest difference of the outputs after reloading in a fresh process"),
    },
  },
  {
    name: "trials",
    row: "a trial that has ended",
    columns: {
      ...trial,
      method: column("VARCHAR", ""),
      draw: column("INTEGER", ""),
      seed: column("INTEGER", ""),
      status: column("VARCHAR", "done, failed, or damaged"),
      error: column("VARCHAR", "why it failed"),
      parameters_union: column("DOUBLE", "of all chosen candidates"),
      lowest_layer: column("INTEGER", "null: nothing is adapted"),
      steps_search: column("INTEGER", ""),
      steps_fit: column("INTEGER", ""),
      step_ms_search: column("DOUBLE", "milliseconds, median"),
      step_ms_fit: column("DOUBLE", "milliseconds, median"),
      seconds_search: column("DOUBLE", ""),
      seconds_fit: column("DOUBLE", ""),
      seconds_evaluate: column("DOUBLE", ""),
      peak_memory_mi_b: column("DOUBLE", "MiB"),
    },
  },
  {
    name: "scores",
    row: "a task's score in a trial",
    columns: {
      ...trial,
      method: column("VARCHAR", ""),
      seed: column("INTEGER", ""),
      task: column("VARCHAR", ""),
      metric: column("VARCHAR", ""),
      split: column("VARCHAR", "validation or test"),
      score: column("DOUBLE", ""),
      hardened_before_fit: column("DOUBLE", ""),
      rows: column("INTEGER", "evaluated"),
      parameters: column("DOUBLE", "those the task uses"),
    },
  },
  {
    name: "candidates",
    row: "a candidate that a trial's structure chose",
    columns: {
      ...trial,
      method: column("VARCHAR", ""),
      site: column("VARCHAR", "such as layers.3.attention.query"),
      layer: column("INTEGER", "from 0, the lowest"),
      slot: column("VARCHAR", "such as attention.query"),
      kind: column("VARCHAR", "the adapter kind"),
      start: column("INTEGER", "first rank or width of the chunk"),
      size: column("INTEGER", "ranks or widths that it holds"),
      parameters: column("DOUBLE", ""),
      tasks: column("VARCHAR[]", "those that use it"),
    },
  },
  {
    name: "gates",
    row: "a candidate's gate for a task at a step of a search",
    columns: { ...trial, ...columnsOf(GateTableSchema) },
  },
  {
    name: "predictions",
    row: "an evaluated row's prediction in a trial",
    columns: { ...trial, ...columnsOf(PredictionTableSchema) },
  },
  {
    name: "steps",
    row: "a step of a trial's search or fit",
    columns: {
      ...trial,
      seq: column("INTEGER", ""),
      time: column("DOUBLE", "seconds since 1970"),
      stage: column("VARCHAR", "search, fit, evaluate"),
      step: column("INTEGER", "from 1"),
      steps: column("INTEGER", "of so many"),
      loss: column("DOUBLE", ""),
    },
  },
  {
    name: "events",
    row: "an event of a run",
    columns: {
      ...run,
      seq: column("INTEGER", ""),
      time: column("DOUBLE", "seconds since 1970"),
      type: column("VARCHAR", "run.started, stage.started, progress, trial.finished, ..."),
      trial: column("VARCHAR", ""),
      stage: column("VARCHAR", ""),
      step: column("INTEGER", ""),
      steps: column("INTEGER", ""),
      loss: column("DOUBLE", ""),
      done: column("DOUBLE", "of the whole run, 0 to 1"),
      status: column("VARCHAR", "of run.finished"),
      message: column("VARCHAR", "of a warning"),
      error: column("VARCHAR", "of trial.failed"),
    },
  },
] as const satisfies readonly View[];

/** The columns of a table of the contract, with DuckDB's types. */
function columnsOf(schema: z.ZodObject): Record<string, Column> {
  return Object.fromEntries(
    Object.entries(schema.shape).map(([name, type]) => [
      name,
      column(duckType(type), z.globalRegistry.get(type)?.description ?? ""),
    ]),
  );
}

function duckType(type: z.core.$ZodType): string {
  if (type instanceof z.ZodNullable) return duckType(type.unwrap());
  if (type instanceof z.ZodArray) return `${duckType(type.element)}[]`;
  if (type instanceof z.ZodNumberFormat) return "INTEGER";
  return type instanceof z.ZodNumber ? "DOUBLE" : "VARCHAR";
}

export type ViewName = (typeof views)[number]["name"];

/** A SELECT without rows that has the view's columns, to which what was found is added by name. */
export function emptyOf({ columns }: View): string {
  const typed = Object.entries(columns).map(([name, { type }]) => `CAST(NULL AS ${type}) AS "${name}"`);
  return `SELECT ${typed.join(", ")} WHERE false`;
}
