/**
 * The Parquet tables of a run, column by column with units and what null means: part of the contract, written by Python, read by
 * `openRun`, and served with the same columns by the views of `openStore`.
 */
import { z } from "zod";
import { verdicts } from "./records.js";
import { MetricSchema } from "./schema/index.js";

/** `results.parquet`. */
export const ResultTableSchema = z
  .strictObject({
    task: z.string().nullable().describe("the task's name; null: the mean over all tasks, where there are several"),
    method: z.string().describe("the method's name in the experiment"),
    metric: MetricSchema.nullable().describe("what the score is; larger is better; null over tasks that have several"),
    mean: z.number().nullable().describe("score, mean over seeds; null where every trial failed"),
    ci95_low: z.number().nullable().describe("lower end of the 95 % interval over seeds; null with fewer than two"),
    ci95_high: z.number().nullable().describe("its upper end; null with fewer than two"),
    seeds: z.int().describe("seeds of which a trial finished"),
    split: z
      .enum(["validation", "test"])
      .nullable()
      .describe("the rows that were scored; null over tasks that have several"),
    parameters_task: z.number().describe("trainable parameters that the task uses, the head's not counted, mean"),
    parameters_union: z.number().describe("those that any task uses, mean"),
    parameters_fraction: z.number().describe("the union as a share of the backbone, 0 to 1"),
    step_ms_predicted: z
      .number()
      .nullable()
      .describe("milliseconds that a step of the fit was predicted to take, median; null where nothing was predicted"),
    step_ms_measured: z
      .number()
      .nullable()
      .describe("milliseconds a step of the fit, median; null where every trial failed"),
    seconds_tune: z.number().describe("seconds of the sweep of learning rates, once a method; 0 without one"),
    seconds_search: z.number().describe("seconds of one trial's search, mean"),
    seconds_fit: z.number().describe("seconds of one trial's fit, mean"),
    seconds_evaluate: z.number().describe("seconds of one trial's evaluation, mean"),
    total_seconds: z
      .number()
      .nullable()
      .describe("seconds of the sweep, and of every finished trial's search, fit and evaluation; null: not recorded"),
    peak_memory_mi_b: z.number().describe("MiB that the process, on CUDA the device, held at most"),
    memory_mi_b_predicted: z
      .number()
      .nullable()
      .describe("MiB that a training step's tensors were predicted to take, median; null where there is no structure"),
    memory_mi_b_measured: z
      .number()
      .nullable()
      .describe("MiB that they took, median; null where there is no structure"),
    soft_before_fit: z
      .number()
      .nullable()
      .describe(
        "score of the searched model under the gates it ended with, on up to 500 rows spread over the split; null where none were between 0 and 1",
      ),
    hardened_before_fit: z
      .number()
      .nullable()
      .describe(
        "score of the searched model, hardened, before it is fitted, on the rows of soft_before_fit; null where no search trained weights",
      ),
    overlap: z
      .number()
      .nullable()
      .describe(
        "parameters that the structures of two trials share, of those that either has, 0 to 1, mean over pairs; null with fewer than two structures",
      ),
    lowest_layer: z
      .number()
      .nullable()
      .describe("the lowest layer that carries an adapter, from 0, mean; null where nothing is adapted"),
    failed: z.int().describe("trials that failed"),
    learning_rate: z.number().nullable().describe("what the fit was trained at; null where every trial failed"),
  })
  .meta({ id: "ResultTable" });

/** `comparisons.parquet`. */
export const ComparisonTableSchema = z
  .strictObject({
    task: z.string().nullable().describe("the task's name; null: the mean over all tasks, paired by task too"),
    a: z.string().describe("the answer: the experiment's first method"),
    b: z.string().describe("the rival that it is compared with"),
    difference: z.number().describe("score of a less score of b, paired by seed and by item"),
    ci95_low: z.number().describe("lower end of the difference's 95 % interval"),
    ci95_high: z.number().describe("its upper end"),
    p: z.number().describe("two-sided, before correction"),
    p_adjusted: z.number().describe("Holm-corrected over all comparisons of the run"),
    verdict: z.enum(verdicts).describe("of a against b, at an adjusted p of 0.05"),
    detectable: z
      .number()
      .nullable()
      .describe(
        "smallest true difference that this design finds with probability 0.8, at 0.05 over the number of comparisons; null: not recorded, or nothing varied",
      ),
  })
  .meta({ id: "ComparisonTable" });

/** `trials/<id>/predictions.parquet`. */
export const PredictionTableSchema = z
  .strictObject({
    task: z.string().describe("the task's name"),
    row: z.int().describe("place in the evaluation split, from 0"),
    label: z.number().describe("true class or candidate index, or value; of a generation 1, the best score"),
    prediction: z
      .number()
      .describe("predicted class or candidate index, or value; of a generation the score of the text"),
    outputs: z
      .array(z.number())
      .describe(
        "logits in the order of the classes or candidates, the one value of a regression, or the mean log-likelihood of a" +
          " token of a generation's completion",
      ),
    text: z.string().nullable().describe("what the model wrote; null where the task is no generation"),
    reference: z.string().nullable().describe("what it should have written; null likewise"),
  })
  .meta({ id: "PredictionTable" });

/** `trials/<id>/gates.parquet`. */
export const GateTableSchema = z
  .strictObject({
    step: z.int().describe("step of the search, from 0"),
    task: z.string().describe("the task's name"),
    candidate: z.string().describe("site, kind and chunk, such as layers.3.attention.query/lora[4:8]"),
    value: z.number().describe("how far the gate is open: its probability, or 0 or 1 where it is shut or open"),
    parameters: z.int().nullable().describe("what the candidate costs; null in runs that did not record it"),
  })
  .meta({ id: "GateTable" });

export type ResultTableRow = z.output<typeof ResultTableSchema>;
export type ComparisonTableRow = z.output<typeof ComparisonTableSchema>;
export type PredictionTableRow = z.output<typeof PredictionTableSchema>;
export type GateTableRow = z.output<typeof GateTableSchema>;
