/** The adapter kinds: the form of what is added at a site, and the sizes it may have there (DESIGN section 7). */
import { z } from "zod";

const sizes = (fallback: number[]) =>
  z
    .array(z.int().min(1).max(4096))
    .min(1)
    .refine((values) => values.every((value, index) => index === 0 || value > values[index - 1]!), {
      message: "must grow from one size to the next",
    })
    .default(fallback);
const widths = (fallback: number[]) =>
  sizes(fallback).describe("widths a site may have; each step to the next is one candidate");
const scale = (fallback: number) => z.number().positive().default(fallback);
const activation = (fallback: "gelu" | "relu") => z.enum(["gelu", "relu", "tanh"]).default(fallback);

export const LoraKindSchema = z
  .strictObject({
    kind: z.literal("lora"),
    ranks: sizes([1, 2, 4, 8]).describe("ranks a site may have; each step to the next is one candidate"),
    scale: scale(2).describe("s in h + s B A x"),
  })
  .meta({ id: "LoraKind" });
export const BottleneckKindSchema = z
  .strictObject({
    kind: z.literal("bottleneck"),
    sizes: widths([8, 16, 32]),
    activation: activation("gelu"),
    scale: scale(1).describe("s in h + s W_up f(W_down h)"),
  })
  .meta({ id: "BottleneckKind" });
export const ParallelKindSchema = z
  .strictObject({ kind: z.literal("parallel"), sizes: widths([8, 16, 32]), activation: activation("relu") })
  .meta({ id: "ParallelKind" });
export const ScaledParallelKindSchema = z
  .strictObject({
    kind: z.literal("scaledParallel"),
    sizes: widths([8, 16, 32]),
    activation: activation("relu"),
    scale: scale(2).describe("s in h + s W_up f(W_down x)"),
    slots: z
      .array(z.enum(["attention", "mlp"]))
      .min(1)
      .default(["attention", "mlp"])
      .describe("beside which sub-blocks, of those the space names"),
  })
  .meta({ id: "ScaledParallelKind" });
export const MultiHeadParallelKindSchema = z
  .strictObject({
    kind: z.literal("multiHeadParallel"),
    sizes: sizes([1, 2, 4]).describe("widths of every head's adapter; each step to the next is one candidate"),
    activation: activation("relu"),
    scale: scale(1),
  })
  .meta({ id: "MultiHeadParallelKind" });
export const UTuningKindSchema = z
  .strictObject({
    kind: z.literal("uTuning"),
    sizes: widths([8, 16, 32]),
    activation: z
      .enum(["gelu", "relu", "tanh", "softmax"])
      .default("gelu")
      .describe("softmax: the tuner is a single-headed prefix"),
    scale: scale(1).describe("s in OP(x) + s U(x)"),
  })
  .meta({ id: "UTuningKind" });
export const UnfoldedKindSchema = z
  .strictObject({
    kind: z.literal("unfolded"),
    sizes: sizes([8, 16, 32]).describe("atoms a site may have; each step to the next is one candidate"),
    iterations: z.int().min(1).max(16).default(3).describe("K, steps of soft thresholding"),
    step: z.number().positive().default(1).describe("eta, the step's length"),
    threshold: z.number().positive().default(0.01).describe("what the learned thresholds start at"),
    scale: scale(1),
  })
  .meta({ id: "UnfoldedKind" });
export const BitfitKindSchema = z.strictObject({ kind: z.literal("bitfit") }).meta({ id: "BitfitKind" });
export const Ia3KindSchema = z.strictObject({ kind: z.literal("ia3") }).meta({ id: "Ia3Kind" });
export const NormTuningKindSchema = z.strictObject({ kind: z.literal("normTuning") }).meta({ id: "NormTuningKind" });
export const KernelMixKindSchema = z
  .strictObject({
    kind: z.literal("kernelMix"),
    sizes: sizes([1, 2, 4]).describe("ranks of every head; each step to the next is one candidate"),
    shared: z.int().min(1).max(64).default(2).describe("ranks that all heads share, for each rank of a head"),
  })
  .meta({ id: "KernelMixKind" });
export const KernelScaleKindSchema = z.strictObject({ kind: z.literal("kernelScale") }).meta({ id: "KernelScaleKind" });
export const TarpKindSchema = z
  .strictObject({ kind: z.literal("tarp"), ranks: sizes([1, 2, 4, 8]), scale: scale(2) })
  .meta({ id: "TarpKind" });
const groups = {
  groups: sizes([64]).describe("groups of input dimensions; several sizes are chunks of the largest's groups"),
  grouping: z.enum(["permuted", "contiguous"]).default("permuted"),
};
export const GraspKindSchema = z.strictObject({ kind: z.literal("grasp"), ...groups }).meta({ id: "GraspKind" });
export const StochGraspKindSchema = z
  .strictObject({
    kind: z.literal("stochGrasp"),
    ...groups,
    start: z.number().positive().default(0.01).describe("sigma of the scales at first"),
    target: z.number().min(0).default(0.05).describe("sigma that they are drawn to: the noise of the hardware"),
    weight: z.number().min(0).default(1).describe("of the term mean((sigma - target)^2)"),
  })
  .meta({ id: "StochGraspKind" });
export const DualLoraKindSchema = z
  .strictObject({
    kind: z.literal("dualLora"),
    ranks: sizes([1, 2, 4, 8]).describe("ranks of the shared path and of each task's own"),
    scale: scale(2).describe("s in h + s (B A - B_t A_t) x"),
    orthogonality: z
      .number()
      .min(0)
      .default(0.1)
      .describe("weight of the term that keeps the shared and the own paths apart, |A A_t'|^2"),
  })
  .meta({ id: "DualLoraKind" });
export const GeneratedKindSchema = z
  .strictObject({
    kind: z.literal("generated"),
    ranks: sizes([1, 2, 4, 8]).describe("ranks a site may have; each step to the next is one candidate"),
    embedding: z.int().min(1).max(64).default(2).describe("k, the numbers of a task's embedding"),
    scale: scale(2).describe("s in h + s b_t a_t' x"),
  })
  .meta({ id: "GeneratedKind" });
export const TokenGateKindSchema = z
  .strictObject({
    kind: z.literal("tokenGate"),
    size: z.int().min(1).max(4096).default(8).describe("width of the adapter that skipped tokens pass through"),
    ratio: z.number().min(0).max(1).default(0.5).describe("share of the tokens that are to go through the MLP"),
    weight: z.number().min(0).default(2).describe("of the term (share - ratio)^2, for each site"),
    temperature: z.number().positive().default(5).describe("of the sigmoid whose gradient the bits have"),
    start: z.number().positive().default(3).describe("b at first, above 0: nothing is skipped"),
    activation: activation("relu"),
    scale: scale(1).describe("s in m MLP(x) + s W_up f(W_down x)"),
  })
  .meta({ id: "TokenGateKind" });
export const PrefixKindSchema = z
  .strictObject({
    kind: z.literal("prefix"),
    tokens: sizes([1, 2, 4, 8]).describe("prefix tokens a layer may have; each step to the next is one candidate"),
    scale: scale(10).describe("s in the mass s theta of a prefix token"),
  })
  .meta({ id: "PrefixKind" });
export const TaskPromptKindSchema = z
  .strictObject({
    kind: z.literal("taskPrompt"),
    tokens: sizes([1, 2, 4, 8]).describe("prompts a layer may have for each task"),
    scale: scale(10).describe("s in the mass s theta of a prompt"),
  })
  .meta({ id: "TaskPromptKind" });

export const KindSchema = z
  .discriminatedUnion("kind", [
    LoraKindSchema,
    BottleneckKindSchema,
    ParallelKindSchema,
    ScaledParallelKindSchema,
    MultiHeadParallelKindSchema,
    UTuningKindSchema,
    UnfoldedKindSchema,
    BitfitKindSchema,
    Ia3KindSchema,
    NormTuningKindSchema,
    KernelMixKindSchema,
    KernelScaleKindSchema,
    TarpKindSchema,
    GraspKindSchema,
    StochGraspKindSchema,
    DualLoraKindSchema,
    GeneratedKindSchema,
    TokenGateKindSchema,
    PrefixKindSchema,
    TaskPromptKindSchema,
  ])
  .meta({ id: "Kind" });

/** The kinds' names, in the order of the schema; a literal list, so that editors and error messages know each. */
export const kindNames = [
  "lora",
  "bottleneck",
  "parallel",
  "scaledParallel",
  "multiHeadParallel",
  "uTuning",
  "unfolded",
  "bitfit",
  "ia3",
  "normTuning",
  "kernelMix",
  "kernelScale",
  "tarp",
  "grasp",
  "stochGrasp",
  "dualLora",
  "generated",
  "tokenGate",
  "prefix",
  "taskPrompt",
] as const satisfies readonly KindName[];
export const KindNameSchema = z.enum(kindNames).meta({ id: "KindName" });

export type KindName = z.output<typeof KindSchema>["kind"];
export type KindInput = z.input<typeof KindSchema>;
