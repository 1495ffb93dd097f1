/** The sweep of learning rates: equally large for every method, decided on a part of train. */
import { z } from "zod";
import { rate } from "./fields.js";

export const TuneSchema = z
  .strictObject({
    learningRates: z
      .array(rate)
      .min(2)
      .refine((rates) => new Set(rates).size === rates.length, { message: "names a rate twice" })
      .describe(
        "rates that every method is tried at, once, at the first seed; a method with a learningRate of its own tries them times its ratio to training.learningRate",
      ),
    fraction: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.1)
      .describe("share of train that is held out to choose among the rates; the chosen one is fitted on all of train"),
  })
  .meta({ id: "Tune" });
