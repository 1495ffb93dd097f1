/** The limit that every structure keeps. */
import { z } from "zod";

export const BudgetSchema = z
  .strictObject({
    parameters: z
      .number()
      .positive()
      .describe(
        "the most parameters that all chosen candidates together may have, heads not counted: below 1 a fraction of the backbone, else a count",
      ),
  })
  .meta({ id: "Budget" });
