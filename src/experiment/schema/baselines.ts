/** Methods without a learned structure, most of them through PEFT: what a person would have used instead. */
import { z } from "zod";
import { count, methodFields } from "./fields.js";
import { SlotSchema } from "./space.js";

const rank = count.nullable().default(null).describe("null: the largest that the budget allows, at least 1");
const scale = z.number().positive().default(2).describe("PEFT's alpha / r");
const slots = z
  .array(SlotSchema)
  .min(1)
  .nullable()
  .default(null)
  .describe("the linears that carry it; null: those of the space, or all where the space has none");

export const FullMethodSchema = z
  .strictObject({ method: z.literal("full"), ...methodFields })
  .meta({ id: "FullMethod" });
export const BitFitMethodSchema = z
  .strictObject({ method: z.literal("bitFit"), ...methodFields })
  .meta({ id: "BitFitMethod" });
export const PeftLoraMethodSchema = z
  .strictObject({ method: z.literal("peftLora"), ...methodFields, rank, scale, slots })
  .meta({ id: "PeftLoraMethod" });
export const AdaLoraMethodSchema = z
  .strictObject({
    method: z.literal("adaLora"),
    ...methodFields,
    rank: rank.describe("mean rank at the end; null: the largest that the budget allows, at least 1"),
    scale,
    slots,
    startFactor: z.number().min(1).default(1.5).describe("rank at the start, as a multiple of `rank`"),
    warmup: z.number().min(0).lt(1).default(0.1).describe("share of the steps before ranks are taken away"),
    settled: z.number().gt(0).lt(1).default(0.3).describe("share of the steps, at the end, with the final ranks"),
    orthogonality: z.number().min(0).default(0.5).describe("weight of the regulariser of P and Q"),
  })
  .meta({ id: "AdaLoraMethod" });
export const PrefixMethodSchema = z
  .strictObject({
    method: z.literal("prefix"),
    ...methodFields,
    tokens: count.nullable().default(null).describe("virtual tokens a layer; null: as many as the budget allows"),
  })
  .meta({ id: "PrefixMethod" });
export const Ia3MethodSchema = z.strictObject({ method: z.literal("ia3"), ...methodFields }).meta({ id: "Ia3Method" });
export const AdapterFusionMethodSchema = z
  .strictObject({
    method: z.literal("adapterFusion"),
    ...methodFields,
    size: count.default(48).describe("width of each task's bottleneck, one a layer"),
    attention: count.default(20).describe("width of the queries and keys that mix the tasks' bottlenecks"),
  })
  .meta({ id: "AdapterFusionMethod" });
export const PolytroponMethodSchema = z
  .strictObject({
    method: z.literal("polytropon"),
    ...methodFields,
    skills: z.int().min(2).default(4).describe("LoRAs at each linear that all tasks share and mix"),
    rank: rank.describe("of each skill; null: the largest that the budget allows, at least 1"),
    slots,
  })
  .meta({ id: "PolytroponMethod" });

export const baselineSchemas = [
  FullMethodSchema,
  BitFitMethodSchema,
  PeftLoraMethodSchema,
  AdaLoraMethodSchema,
  PrefixMethodSchema,
  Ia3MethodSchema,
  AdapterFusionMethodSchema,
  PolytroponMethodSchema,
] as const;
