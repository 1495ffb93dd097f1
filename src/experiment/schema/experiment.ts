/** What a user writes: parts are filled in where they have defaults. */
import { z } from "zod";
import { BackboneSchema } from "./backbone.js";
import { BudgetSchema } from "./budget.js";
import { distinctNames, name } from "./fields.js";
import { MethodSchema } from "./methods.js";
import { SpaceSchema } from "./space.js";
import { TaskSchema } from "./task.js";
import { TrainingSchema } from "./training.js";
import { TuneSchema } from "./tune.js";

export const ExperimentSchema = z
  .strictObject({
    $schema: z.string().optional(),
    name: name.describe("the run directory's name starts with it"),
    backbone: BackboneSchema,
    tasks: z
      .array(TaskSchema)
      .min(1)
      .superRefine(distinctNames("tasks", ["name"])),
    space: SpaceSchema.prefault({}),
    budget: BudgetSchema,
    methods: z
      .array(MethodSchema)
      .min(1)
      .superRefine(distinctNames("methods", ["name", "method"]))
      .describe("the first is the answer: it is exported and compared with each of the others"),
    training: TrainingSchema.prefault({}),
    tune: TuneSchema.nullable().default(null),
    seeds: z
      .union([z.int().min(1).max(1000), z.array(z.int().min(0)).min(1)])
      .default(3)
      .describe("how many seeds (0, 1, ...), or the seeds themselves"),
  })
  .refine(({ tasks, training }) => training.headLayers === "last" || tasks.every(({ kind }) => kind !== "generation"), {
    path: ["training", "headLayers"],
    message: 'is for heads that are trained, and that of a generation is the model\'s own; use "last"',
  })
  .meta({ id: "Experiment" });

export type ExperimentInput = z.input<typeof ExperimentSchema>;
export type Experiment = z.output<typeof ExperimentSchema>;
