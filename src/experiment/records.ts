/** What comes back from Python: events while it works and records when it is done. Part of the contract, like schema/. */
import { z } from "zod";
import { KindNameSchema, MetricSchema, SlotSchema } from "./schema/index.js";

/** A number that may be not finite: JSON has no NaN, so it travels as "NaN", "Infinity" or "-Infinity". */
export const RealSchema = z
  .union([z.number(), z.literal("NaN"), z.literal("Infinity"), z.literal("-Infinity")])
  .meta({ id: "Real" });
const real = RealSchema;

export const ChosenSchema = z
  .strictObject({
    site: z.string().describe("such as layers.3.attention.query"),
    layer: z.int().min(0),
    slot: SlotSchema,
    kind: KindNameSchema,
    start: z.int().min(0).describe("first rank or width of the chunk, counted through the site's paths"),
    size: z.int().min(1).describe("how many ranks or widths it holds"),
    parameters: z.int().min(1),
    ofOthers: z
      .int()
      .min(0)
      .default(0)
      .describe("how many of the parameters are other tasks' own, for whatever task one looks at"),
    tasks: z.array(z.string()).min(1).describe("the tasks that use it"),
    scores: z.record(z.string(), real).describe("per task: the probability or score that chose it"),
    path: z.int().min(0).default(0).describe("which of the site's adapters it belongs to"),
    weights: z
      .record(z.string(), z.number())
      .default({})
      .describe("per task that mixes several paths: the path's share; a task that is not named takes it whole"),
  })
  .meta({ id: "Chosen" });

export const StructureSchema = z
  .strictObject({
    version: z.literal(1),
    method: z.string(),
    backbone: z
      .strictObject({
        family: z.string(),
        layers: z.int().min(1),
        hidden: z.int().min(1),
        slots: z.array(SlotSchema).describe("the slots the space could use"),
        sites: z.record(z.string(), z.int().min(1)).describe("per site and kind that the space held: largest size"),
      })
      .meta({ id: "StructureBackbone" }),
    tasks: z.array(z.string()).min(1),
    budget: z.int().min(0).nullable().describe("the limit in parameters; null where other limits alone hold"),
    parameters: z
      .strictObject({ union: z.int().min(0), tasks: z.record(z.string(), z.int().min(0)) })
      .meta({ id: "StructureParameters" }),
    candidates: z.array(ChosenSchema),
  })
  .meta({ id: "Structure" });

/** The two sides of the discretisation gap. */
const beforeFit = {
  softBeforeFit: real
    .nullable()
    .default(null)
    .describe(
      "the searched model under the gates it ended with, on up to 500 rows spread over the split; null where gates were not between 0 and 1",
    ),
  hardenedBeforeFit: real
    .nullable()
    .describe("the searched model, hardened, before it is fitted, on the rows of softBeforeFit"),
};

export const TaskScoreSchema = z
  .strictObject({
    metric: MetricSchema,
    split: z.enum(["validation", "test"]),
    score: real,
    ...beforeFit,
    rows: z.int().min(1),
    parameters: z.int().min(0),
    layerShares: z
      .array(z.number())
      .nullable()
      .default(null)
      .describe("the share of each layer in what a mixing head reads, the embeddings first; null: the last layer's"),
  })
  .meta({ id: "TaskScore" });

export const SecondsSchema = z
  .strictObject({
    tune: z.number().default(0).describe("the sweep of learning rates, once a method"),
    search: z.number(),
    fit: z.number(),
    evaluate: z.number(),
  })
  .meta({ id: "Seconds" });
export const PredictedSchema = z
  .strictObject({ predicted: z.number(), measured: z.number() })
  .meta({ id: "Predicted" });
const IntervalSchema = z.tuple([real, real]).meta({ id: "Interval" });

export const OverBudgetSchema = z
  .strictObject({
    limit: z.enum(["parameters", "stepTime", "memory"]),
    allowed: z.number().describe("parameters, the share of a full step, or bytes"),
    measured: z.number(),
  })
  .meta({ id: "OverBudget" });

export const TrialResultSchema = z
  .strictObject({
    version: z.literal(1),
    trial: z.string(),
    method: z.string(),
    draw: z.int().min(0),
    seed: z.int().min(0),
    status: z.enum(["done", "failed"]),
    error: z.string().nullable(),
    tasks: z.record(z.string(), TaskScoreSchema),
    union: z.int().min(0).describe("parameters of all chosen candidates"),
    lowestLayer: z.int().min(0).nullable().describe("null: nothing is adapted"),
    steps: z.strictObject({ search: z.int().min(0), fit: z.int().min(0) }).meta({ id: "TrialSteps" }),
    stepMs: z
      .strictObject({ search: z.number().nullable(), fit: z.number(), predicted: z.number().nullable().default(null) })
      .describe("medians; predicted: of the fit")
      .meta({ id: "TrialStepMs" }),
    seconds: SecondsSchema,
    peakMemoryMiB: z.number(),
    memoryMiB: PredictedSchema.nullable()
      .default(null)
      .describe("the most that a training step's tensors take; null: of no structure"),
    gatesAboveHalf: z.int().min(0).nullable(),
    learningRate: z.number().nullable().default(null).describe("what it was trained at; null: unknown"),
    overBudget: z
      .array(OverBudgetSchema)
      .default([])
      .describe("limits that a method without a structure does not keep, since none is put on it"),
  })
  .meta({ id: "TrialResult" });

export const TuningSchema = z
  .strictObject({
    version: z.literal(1),
    method: z.string(),
    seed: z.int().min(0),
    fraction: z.number().describe("share of train held out"),
    rates: z.array(
      z
        .strictObject({
          learningRate: z.number(),
          score: real.nullable().describe("mean of the tasks' metrics on the held-out rows; null where it failed"),
          loss: real.nullable().describe("mean of the tasks' losses there"),
          error: z.string().nullable(),
        })
        .meta({ id: "TunedRate" }),
    ),
    chosen: z.number().describe("the rate of the best score, of equal scores that of the lowest loss"),
    seconds: z.number().describe("of the whole sweep"),
  })
  .meta({ id: "Tuning" });

export const RaceSchema = z
  .strictObject({
    version: z.literal(1),
    fits: z.number().describe("what the race cost, its proposals' searches included, in fits of the training's length"),
    limit: z.number().describe("the most it was allowed"),
    heldOut: z.int().min(1).describe("rows of train that it was decided on"),
    rounds: z.array(
      z
        .strictObject({
          steps: z.int().min(1).describe("of each entrant's fit"),
          rows: z.int().min(1).describe("held-out rows that every entrant was read on"),
          entrants: z.array(
            z
              .strictObject({
                proposal: z.string().describe("the method whose structure it is, and its draw"),
                learningRate: z.number(),
                parameters: z.int().min(0),
                loss: real.describe("mean of the tasks' losses on the held-out rows"),
                behind: real.describe("how much that is above the round's best, paired by row"),
                standardError: real.describe("of `behind`"),
                kept: z.boolean().describe("whether it went on to the next round; in the last one: whether it won"),
              })
              .meta({ id: "Entrant" }),
          ),
        })
        .meta({ id: "RaceRound" }),
    ),
  })
  .meta({ id: "Race" });
export type Race = z.output<typeof RaceSchema>;

const resultRow = {
  task: z.string(),
  method: z.string(),
  metric: MetricSchema,
  mean: real.nullable().describe("over seeds; null when every trial failed"),
  ci95: IntervalSchema.nullable().describe("null with a single seed"),
  seeds: z.int().min(0),
  split: z.enum(["validation", "test"]),
  parameters: z
    .strictObject({ task: z.number(), union: z.number(), fraction: z.number() })
    .meta({ id: "RowParameters" }),
  stepMs: z
    .strictObject({ predicted: z.number().nullable(), measured: z.number().nullable() })
    .meta({ id: "RowStepMs" }),
  seconds: SecondsSchema,
  totalSeconds: z
    .number()
    .nullable()
    .default(null)
    .describe("the sweep of rates, and search, fit and evaluation of every trial that finished; null: not recorded"),
  peakMemoryMiB: z.number(),
  memoryMiB: PredictedSchema.nullable()
    .default(null)
    .describe("the most that a training step's tensors take; null: of no structure"),
  ...beforeFit,
  overlap: z
    .number()
    .nullable()
    .default(null)
    .describe(
      "parameters that two trials' structures share, of those that either has, mean over pairs; null with fewer than two",
    ),
  lowestLayer: z.number().nullable(),
  failed: z.int().min(0),
  learningRate: z.number().nullable().default(null).describe("what the method was trained at"),
  overBudget: z
    .array(OverBudgetSchema)
    .default([])
    .describe("limits that a method without a structure does not keep, since none is put on it; the most over seeds"),
};
export const ResultRowSchema = z.strictObject(resultRow).meta({ id: "ResultRow" });
/** A method over all tasks: scores are means over the tasks, parameters those of the union. */
export const OverTasksRowSchema = z
  .strictObject({
    ...resultRow,
    task: z.null(),
    metric: MetricSchema.nullable().describe("null: the tasks have several"),
    split: resultRow.split.nullable().describe("null: the tasks have several"),
  })
  .meta({ id: "OverTasksRow" });

export const verdicts = ["better", "worse", "cannot be told apart"] as const;
const comparison = {
  task: z.string(),
  a: z.string(),
  b: z.string(),
  difference: real.describe("score of a minus score of b"),
  ci95: IntervalSchema,
  p: z.number(),
  pAdjusted: z.number().describe("Holm-corrected over all comparisons of the run"),
  verdict: z.enum(verdicts),
  detectable: z
    .number()
    .nullable()
    .default(null)
    .describe(
      "the smallest true difference that this design finds with probability 0.8, at 0.05 over the number of comparisons; null: not recorded, or nothing varied",
    ),
};
export const ComparisonSchema = z.strictObject(comparison).meta({ id: "Comparison" });
/** Of the means over all tasks, paired by task too. */
export const OverTasksComparisonSchema = z
  .strictObject({ ...comparison, task: z.null() })
  .meta({ id: "OverTasksComparison" });
export const OverTasksSchema = z
  .strictObject({ rows: z.array(OverTasksRowSchema), comparisons: z.array(OverTasksComparisonSchema) })
  .meta({ id: "OverTasks" });

/** A method of one run against one of another; `a` and `b` are RUN/METHOD. */
export const RunComparisonSchema = z.strictObject({
  seeds: z.array(z.int().min(0)).min(1).describe("those that both finished"),
  comparisons: z.array(ComparisonSchema).min(1),
  overTasks: z.array(OverTasksComparisonSchema).describe("empty with a single task"),
});
export type RunComparison = z.output<typeof RunComparisonSchema>;

export const exportFormats = ["peft", "merged", "native", "onnx"] as const;
export const ExportSchema = z
  .strictObject({
    task: z.string().nullable().describe("null: the adapter of all tasks together"),
    to: z.enum(exportFormats),
    path: z.string(),
    trial: z.string().nullable().default(null).describe("the trial it was taken from"),
    maxDifference: z
      .number()
      .describe(
        "largest difference of the outputs after reloading in a fresh process; of a regression in |mean| + deviation of its labels",
      ),
    leftOut: z
      .array(z.string())
      .default([])
      .describe("kinds that the format cannot hold: it was compared with the fitted model without them"),
  })
  .meta({ id: "Export" });

export const mergeMethods = ["mda", "arithmetic", "ties"] as const;
export const MergeSchema = z
  .strictObject({
    version: z.literal(1),
    method: z.enum(mergeMethods),
    weight: z.number().describe("lambda, which every task's update is multiplied by"),
    density: z.number().nullable().describe("share of each update's entries that TIES keeps; null: not TIES"),
    rank: z.int().min(1).nullable().describe("the most that a linear may have; null: what the tasks have together"),
    path: z.string(),
    parameters: z.int().min(1),
    kept: z.number().describe("of |tau|^2 over all linears, the share that the rank leaves"),
    maxDifference: z.number().describe("largest difference of any task's outputs after reloading in a fresh process"),
    tasks: z.array(
      z
        .strictObject({
          name: z.string().describe("how the merge calls it"),
          run: z.string(),
          trial: z.string(),
          task: z.string().describe("how its run calls it"),
          metric: MetricSchema,
          split: z.enum(["validation", "test"]).nullable().describe("null: its rows could not be read"),
          own: real.nullable().describe("score of the adapter that went in, as its run has it"),
          merged: real.nullable().describe("score of the merged adapter with this task's head on the same split"),
          unread: z.string().nullable().describe("why its rows could not be read"),
          leftOut: z.array(z.string()).describe("kinds it has beside LoRA, which no merge holds"),
        })
        .meta({ id: "MergedTask" }),
    ),
  })
  .meta({ id: "Merge" });

export const RunRecordSchema = z
  .strictObject({
    version: z.literal(1),
    run: z.string().describe("path of the run directory"),
    status: z.enum(["done", "failed", "interrupted", "running"]),
    rows: z.array(ResultRowSchema),
    comparisons: z.array(ComparisonSchema),
    overTasks: OverTasksSchema.nullable().default(null).describe("null with a single task"),
    fullStepMs: z.number().nullable().describe("one step with every candidate attached"),
    seconds: z.number(),
    exports: z.array(ExportSchema),
    warnings: z.array(z.string()),
  })
  .meta({ id: "RunRecord" });

/** What is perturbed when a fitted model is evaluated; the docs define each. */
export const perturbations = ["input", "activation", "path", "weight"] as const;
const perturbation = z.enum(perturbations);

export const TrialRobustnessSchema = z
  .strictObject({
    version: z.literal(1),
    trial: z.string(),
    ratios: z.array(z.number()).describe("above 0, growing"),
    rows: z.int().min(1).nullable().describe("evaluation rows a task at most; null: all"),
    tasks: z.record(
      z.string(),
      z
        .strictObject({
          clean: real,
          rounded: real.nullable().describe("the adapters' weights in 8 bits; null: not measured"),
          scores: z.record(z.string(), z.array(real)).describe("per perturbation: a score for each ratio"),
        })
        .meta({ id: "TaskRobustness" }),
    ),
    leftOut: z.record(z.string(), z.string()).describe("per perturbation that the method has no place for: why"),
  })
  .meta({ id: "TrialRobustness" });

export const RobustnessCurveSchema = z
  .strictObject({
    task: z.string(),
    method: z.string(),
    metric: MetricSchema,
    perturbation,
    seeds: z.int().min(1),
    parameters: z.number().describe("those the task uses, mean over trials"),
    points: z.array(
      z
        .strictObject({ ratio: z.number(), mean: real, ci95: IntervalSchema.nullable() })
        .meta({ id: "RobustnessPoint" }),
    ),
    area: real.describe("area under the curve divided by its range of ratios: the mean score over the range"),
    areaCi95: IntervalSchema.nullable().describe("over seeds; null with a single seed"),
    difference: real.nullable().describe("area of the answer less this one's, on the seeds of both; null: the answer"),
    differenceCi95: IntervalSchema.nullable().describe("over seeds, paired"),
  })
  .meta({ id: "RobustnessCurve" });

export const RobustnessSchema = z
  .strictObject({
    version: z.literal(1),
    run: z.string().describe("path of the run directory"),
    ratios: z.array(z.number()).describe("0 and those measured"),
    rows: z.int().min(1).nullable().describe("evaluation rows a task at most; null: all"),
    curves: z.array(RobustnessCurveSchema),
    rounding: z.array(
      z
        .strictObject({
          task: z.string(),
          method: z.string(),
          bits: z.int(),
          seeds: z.int().min(1),
          clean: real,
          rounded: real,
          change: real.describe("rounded less clean"),
          ci95: IntervalSchema.nullable().describe("of the change, over seeds"),
        })
        .meta({ id: "Rounding" }),
    ),
    leftOut: z.array(
      z.strictObject({ method: z.string(), perturbation, reason: z.string() }).meta({ id: "RobustnessLeftOut" }),
    ),
    warnings: z.array(z.string()),
    seconds: z.number(),
  })
  .meta({ id: "Robustness" });

/** How far a robustness card is. */
export const MeasuredSchema = z.strictObject({
  seq: z.int().min(1),
  trial: z.string(),
  done: z.number().describe("of all evaluations, between 0 and 1"),
});

export const InspectionSchema = z.strictObject({
  family: z.string(),
  layers: z.int(),
  hidden: z.int(),
  parameters: z.int(),
  fingerprint: z.string(),
  sites: z.array(
    z.strictObject({
      site: z.string(),
      layer: z.int(),
      slot: SlotSchema,
      module: z.string(),
      in: z.int(),
      out: z.int(),
      candidates: z.array(z.strictObject({ kind: z.string(), start: z.int(), size: z.int(), parameters: z.int() })),
    }),
  ),
  total: z.int().describe("parameters of the whole space"),
});

export const KindListSchema = z.strictObject({
  parameters: z.int().describe("of the backbone"),
  kinds: z.array(
    z.strictObject({
      kind: KindNameSchema,
      equation: z.string(),
      source: z.string(),
      sizes: z.array(z.int()).describe("sizes a site may have by default"),
      slots: z.partialRecord(SlotSchema, z.int()).describe("per slot of one layer: parameters of the smallest size"),
      total: z.int().describe("parameters with the largest size at every site"),
      mergeable: z.boolean().describe("it can be folded into the frozen weights"),
      peft: z.string().nullable().describe("PEFT's name for it; null: PEFT cannot hold it"),
      timesLora: z
        .number()
        .nullable()
        .describe(
          "time of a training step with the largest size at every site over LoRA's; null: not measured, or it has no place",
        ),
    }),
  ),
});

export const stages = ["load", "tune", "search", "fit", "evaluate", "compare", "export"] as const;
const stage = z.enum(stages);
const stamp = { seq: z.int().min(1), time: z.number().describe("seconds since 1970") };

export const EventSchema = z
  .discriminatedUnion("type", [
    z
      .strictObject({ ...stamp, type: z.literal("run.started"), trials: z.int(), directory: z.string() })
      .meta({ id: "RunStarted" }),
    z
      .strictObject({ ...stamp, type: z.literal("stage.started"), trial: z.string().nullable(), stage })
      .meta({ id: "StageStarted" }),
    z
      .strictObject({
        ...stamp,
        type: z.literal("progress"),
        trial: z.string().nullable(),
        stage,
        step: z.int().min(0),
        steps: z.int().min(0),
        loss: real.nullable(),
        done: z.number().describe("work done of the whole run, between 0 and 1"),
      })
      .meta({ id: "Progress" }),
    z
      .strictObject({
        ...stamp,
        type: z.literal("trial.finished"),
        trial: z.string(),
        scores: z.record(z.string(), real),
      })
      .meta({ id: "TrialFinished" }),
    z
      .strictObject({ ...stamp, type: z.literal("trial.failed"), trial: z.string(), error: z.string() })
      .meta({ id: "TrialFailed" }),
    z
      .strictObject({ ...stamp, type: z.literal("warning"), trial: z.string().nullable(), message: z.string() })
      .meta({ id: "Warning" }),
    z
      .strictObject({ ...stamp, type: z.literal("run.finished"), status: z.enum(["done", "failed", "interrupted"]) })
      .meta({ id: "RunFinished" }),
  ])
  .meta({ id: "Event" });

export type Structure = z.output<typeof StructureSchema>;
export type TrialResult = z.output<typeof TrialResultSchema>;
export type ResultRow = z.output<typeof ResultRowSchema>;
export type Comparison = z.output<typeof ComparisonSchema>;
export type OverTasks = z.output<typeof OverTasksSchema>;
export type Tuning = z.output<typeof TuningSchema>;
export type RunRecord = z.output<typeof RunRecordSchema>;
export type Robustness = z.output<typeof RobustnessSchema>;
export type RobustnessCurve = z.output<typeof RobustnessCurveSchema>;
export type Perturbation = (typeof perturbations)[number];
export type Measured = z.output<typeof MeasuredSchema>;
export type Event = z.output<typeof EventSchema>;
export type Inspection = z.output<typeof InspectionSchema>;
export type KindList = z.output<typeof KindListSchema>;
export type Export = z.output<typeof ExportSchema>;
export type Merge = z.output<typeof MergeSchema>;
export type Real = z.output<typeof RealSchema>;
export type Stage = z.output<typeof stage>;
