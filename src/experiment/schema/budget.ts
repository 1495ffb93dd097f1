/** The limits that every structure keeps: in parameters, in time, in memory, or in several of these at once. */
import { z } from "zod";

export const BudgetSchema = z
  .strictObject({
    parameters: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe(
        "the most parameters that all chosen candidates together may have, heads not counted: below 1 a fraction of the backbone, else a count",
      ),
    stepTime: z
      .number()
      .positive()
      .max(1)
      .nullable()
      .default(null)
      .describe("the longest training step, as a fraction of one with every candidate of the space attached"),
    memory: z
      .int()
      .positive()
      .nullable()
      .default(null)
      .describe("the most bytes that a training step's tensors may take: weights, optimiser, activations"),
  })
  .refine((limits) => Object.values(limits).some((limit) => limit !== null), {
    message: "states no limit; give parameters, stepTime or memory",
  })
  .meta({ id: "Budget" });
