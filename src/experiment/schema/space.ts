/** What a search may choose from: slots, layers, and adapter kinds with their sizes. */
import { z } from "zod";
import { KindSchema } from "./kinds.js";

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
export const normSlots = ["attention.norm", "mlp.norm"] as const;

export const SlotSchema = z
  .enum([...linearSlots, ...blockSlots, ...normSlots])
  .describe("a place inside a layer: one of its linears, a whole sub-block, or a sub-block's norm")
  .meta({ id: "Slot" });

export const SpaceSchema = z
  .strictObject({
    slots: z
      .array(SlotSchema)
      .min(1)
      .default(["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"])
      .describe(
        "where adapters may attach; for kinds of linears and norms, attention and mlp stand for all of those inside",
      ),
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
