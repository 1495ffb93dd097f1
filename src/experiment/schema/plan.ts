/** What crosses to Python: total, plain JSON, hashable. */
import { z } from "zod";
import { BackboneSchema } from "./backbone.js";
import { BudgetSchema } from "./budget.js";
import { name } from "./fields.js";
import { MethodSchema } from "./methods.js";
import { SpaceSchema } from "./space.js";
import { TaskSchema } from "./task.js";
import { TrainingSchema } from "./training.js";
import { TuneSchema } from "./tune.js";

export const TrialSchema = z
  .strictObject({
    id: z.string().describe("method, draw and seed, as a folder's name"),
    method: name.describe("the name of one of the plan's methods"),
    draw: z.int().min(0).describe("which of a random method's structures; 0 elsewhere"),
    seed: z.int().min(0),
  })
  .meta({ id: "Trial" });

export const PlanSchema = z
  .strictObject({
    version: z.literal(1),
    name,
    backbone: BackboneSchema,
    tasks: z.array(TaskSchema).min(1),
    space: SpaceSchema,
    budget: BudgetSchema,
    methods: z.array(MethodSchema).min(1),
    training: TrainingSchema,
    tune: TuneSchema.nullable().default(null),
    seeds: z.array(z.int().min(0)).min(1),
    trials: z.array(TrialSchema).min(1),
  })
  .meta({ id: "Plan" });

export type Plan = z.output<typeof PlanSchema>;
export type Trial = z.output<typeof TrialSchema>;
