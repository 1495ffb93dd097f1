/** What a search may choose from: slots, layers, and adapter kinds with their sizes. */
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

export const SlotSchema = z
  .enum([...linearSlots, ...blockSlots])
  .describe("a place inside a layer: one of its linears, or a whole sub-block")
  .meta({ id: "Slot" });

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
    paths: z
      .int()
      .min(1)
      .max(16)
      .default(1)
      .describe("E, how many adapters of each kind a site has; each task combines them in its own way"),
    kinds: z
      .array(KindSchema)
      .min(1)
      .prefault([{ kind: "lora" }]),
  })
  .meta({ id: "Space" });

export type Slot = z.output<typeof SlotSchema>;
export type KindInput = z.input<typeof KindSchema>;
