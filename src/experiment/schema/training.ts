/** How searches and fits are trained. */
import { z } from "zod";
import { count, rate, share } from "./fields.js";

export const EarlyStoppingSchema = z
  .strictObject({
    fraction: z.number().gt(0).lt(1).default(0.1).describe("share of train that is held out for it"),
    patience: count.default(2).describe("epochs without a better held-out loss before the fit ends"),
  })
  .meta({ id: "EarlyStopping" });

export const CacheSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    maxBytes: count
      .default(4 * 2 ** 30)
      .describe(
        "bytes on the disk of all entries together; the least recently used go first, and rows beyond are computed",
      ),
    type: z
      .enum(["float32", "bfloat16", "float16"])
      .default("float32")
      .describe("of the numbers kept; the 16-bit types halve the bytes and round the states"),
  })
  .meta({ id: "Cache" });

export const SpeedSchema = z
  .strictObject({
    packed: z
      .boolean()
      .default(true)
      .describe(
        "a batch's rows lie one after the other, without padding, where the backbone's family and the device (a CPU)" +
          " allow it; else rows of like length share a padded batch",
      ),
    oneToken: z
      .boolean()
      .default(true)
      .describe("where the head reads one token of a row, the last layer computes that token's output alone"),
    cache: CacheSchema.default(CacheSchema.parse({})).describe(
      "the frozen layers below the lowest adapter are computed once, and their states kept on the disk for every epoch," +
        " seed, trial and later run",
    ),
  })
  .meta({ id: "Speed" });

export const dataPerturbations = ["labels", "rows", "words"] as const;
export const DataPerturbationSchema = z
  .strictObject({
    data: z
      .enum(dataPerturbations)
      .describe(
        "labels: wrong with probability ratio; rows: a share of ratio is left out; words: each changes places with the next one with probability ratio",
      ),
    ratio: share,
    seed: z.int().min(0).default(0).describe("which rows, labels or words are hit"),
  })
  .meta({ id: "DataPerturbation" });

export type DataPerturbationInput = z.input<typeof DataPerturbationSchema>;

export const TrainingSchema = z
  .strictObject({
    epochs: z.number().positive().default(3),
    maxSteps: count.nullable().default(null).describe("end earlier, after so many optimiser steps"),
    batchSize: count.default(32).describe("rows an optimiser step"),
    maxTokens: z
      .int()
      .min(16)
      .default(8192)
      .describe(
        "tokens, padding included, that go through the model at once; the gradients of a batch that holds more are accumulated," +
          " and where memory runs out the parts are halved",
      ),
    learningRate: rate.default(1e-3),
    schedule: z
      .enum(["linear", "cosine", "constant"])
      .default("linear")
      .describe("of the learning rate after the warm-up: falls to zero in a line or half a cosine, or stays"),
    warmup: share.default(0.06).describe("share of the steps over which the learning rate rises"),
    weightDecay: z.number().min(0).default(0.01),
    gradientClip: z.number().positive().default(1).describe("largest norm of the gradient"),
    classWeights: z
      .enum(["none", "balanced"])
      .default("none")
      .describe("balanced: a row's loss weighs rows / (classes x rows of its class)"),
    labelSmoothing: z.number().min(0).lt(1).default(0).describe("share of the target that is spread over all classes"),
    maxLength: z.int().min(4).default(128).describe("word pieces a row is cut to"),
    pooling: z
      .enum(["mean", "first", "last"])
      .default("mean")
      .describe(
        "what the head reads: mean of the tokens, the first, or the last, which in a decoder has seen them all",
      ),
    headLayers: z
      .enum(["last", "mixed"])
      .default("last")
      .describe("last: the head reads the last layer; mixed: a learned softmax mix of all layers, the embeddings too"),
    headInit: z
      .enum(["probe", "zero"])
      .default("probe")
      .describe("probe: the head starts as a linear model fitted on the frozen backbone's features"),
    earlyStopping: EarlyStoppingSchema.nullable().default(null),
    perturbation: DataPerturbationSchema.nullable()
      .default(null)
      .describe("what is done to the training rows, to see what it costs; the evaluation rows stay as they are"),
    checkpointSeconds: z
      .number()
      .min(0)
      .default(60)
      .describe("seconds between two checkpoints of a trial; 0: after each step"),
    dtype: z
      .enum(["auto", "float32", "bfloat16"])
      .default("auto")
      .describe(
        "what searches and fits compute in; adapters, heads and their loss stay float32, and so does evaluation." +
          " auto: bfloat16 on CUDA devices that have it, else float32",
      ),
    gradientCheckpointing: z
      .boolean()
      .default(false)
      .describe(
        "a layer keeps only its input for backward and is computed again when backward comes to it: less memory," +
          " about a third more time; layers below the lowest adapter are computed once, as ever",
      ),
    backboneDropout: z
      .boolean()
      .default(false)
      .describe(
        "in training steps the frozen backbone drops out what its configuration says, as transformers' training mode does: it" +
          " regularises, takes more time, and leaves nothing below the adapters to keep",
      ),
    compile: z
      .boolean()
      .default(false)
      .describe(
        "fits run through torch.compile, which needs a C++ compiler and takes a minute or so a fit; searches and evaluation do not",
      ),
    device: z.enum(["auto", "cpu", "cuda"]).default("auto"),
    speed: SpeedSchema.default(SpeedSchema.parse({})).describe("what makes a step cheaper and changes no result"),
    threads: count.nullable().default(null).describe("CPU threads; null: torch's own choice"),
  })
  .refine((training) => !(training.compile && training.gradientCheckpointing), {
    path: ["compile"],
    message: "cannot be combined with gradientCheckpointing; leave out one of the two",
  })
  .refine((training) => !(training.compile && training.headLayers === "mixed"), {
    path: ["compile"],
    message: 'cannot be combined with headLayers "mixed"; leave out one of the two',
  })
  .refine((training) => !(training.backboneDropout && training.gradientCheckpointing), {
    path: ["backboneDropout"],
    message: "cannot be combined with gradientCheckpointing; leave out one of the two",
  })
  .meta({ id: "Training" });
