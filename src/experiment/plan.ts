/** Experiment -> Plan: every default filled in, paths absolute, one trial for each method, draw and seed. */
import { createHash } from "node:crypto";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { checkExperiment } from "./check.js";
import type { ExperimentDefinition } from "./define.js";
import {
  type Experiment,
  type ExperimentInput,
  type Method,
  metricsOf,
  type Plan,
  type Trial,
} from "./schema/index.js";

export interface PlanOptions {
  /** The folder that relative paths start from; default: the working directory. */
  baseFolder?: string;
  /** How messages call the experiment, such as its file's name. */
  origin?: string;
}

/**
 * The total plan of an experiment.
 *
 * @throws EspalierError ("input") that names every field at fault
 */
export function planExperiment(
  definition: ExperimentDefinition | ExperimentInput,
  { baseFolder = process.cwd(), origin = "experiment" }: PlanOptions = {},
): Plan {
  const experiment = checkExperiment(definition, origin);
  const absolute = (file: string) => path.resolve(baseFolder, file);
  const methods = experiment.methods.map((method) => ({
    ...method,
    ...(method.method === "from" ? { structure: absolute(method.structure) } : {}),
    ...(method.method === "tams" && method.controller !== null ? { controller: absolute(method.controller) } : {}),
    name: method.name ?? method.method,
  }));
  const seeds = typeof experiment.seeds === "number" ? [...Array(experiment.seeds).keys()] : experiment.seeds;
  if (new Set(seeds).size < seeds.length) {
    throw new EspalierError(`${origin}: seeds: ${JSON.stringify(seeds)} holds a seed twice`, {
      code: "input",
      mend: "Give each seed once.",
    });
  }
  checkKinds(experiment, origin);
  checkQuantization(experiment, origin);
  checkPriors(experiment, origin);
  checkMetrics(experiment, origin);
  return {
    version: 1,
    name: experiment.name,
    backbone:
      experiment.backbone.source === "folder"
        ? { ...experiment.backbone, path: absolute(experiment.backbone.path) }
        : experiment.backbone,
    tasks: experiment.tasks.map((task) =>
      task.source === "files"
        ? {
            ...task,
            train: absolute(task.train),
            validation: task.validation === null ? null : absolute(task.validation),
            test: task.test === null ? null : absolute(task.test),
          }
        : task,
    ),
    space: experiment.space,
    budget: experiment.budget,
    methods,
    training: experiment.training,
    tune: experiment.tune,
    seeds,
    trials: methods.flatMap((method) => trialsOf(method, seeds)),
  };
}

/** The files and folders that a plan reads: its rows, its backbone, and what its methods start from. */
export function planFiles({ backbone, tasks, methods }: Plan): string[] {
  const of = [
    backbone.source === "folder" ? backbone.path : null,
    ...tasks.flatMap((task) => (task.source === "files" ? [task.train, task.validation, task.test] : [])),
    ...methods.map((method) =>
      method.method === "from" ? method.structure : method.method === "tams" ? method.controller : null,
    ),
  ];
  return of.filter((file) => file !== null);
}

/** sha256 of the plan's canonical JSON (keys sorted), hexadecimal. */
export function planHash(plan: Plan): string {
  return createHash("sha256").update(canonical(plan)).digest("hex");
}

/**
 * One trial for each seed; a random method's structures are shared out over the seeds, each seed getting the same number, so
 * that every structure is trained and the spread over seeds holds the spread over structures too.
 */
function trialsOf(method: Method & { name: string }, seeds: readonly number[]): Trial[] {
  if (method.method !== "random") {
    return seeds.map((seed) => ({ id: `${method.name}-seed${seed}`, method: method.name, draw: 0, seed }));
  }
  const rounds = Math.ceil(method.draws / seeds.length);
  return seeds.flatMap((seed, place) =>
    Array.from({ length: rounds }, (_, round) => {
      const draw = (place + round * seeds.length) % method.draws;
      return { id: `${method.name}-draw${draw}-seed${seed}`, method: method.name, draw, seed };
    }),
  );
}

/** A kind listed twice, or a fixed method that asks for a kind the space lacks, is a mistake that no default can mend. */
function checkKinds(experiment: Experiment, origin: string): void {
  const kinds = experiment.space.kinds.map((entry) => entry.kind);
  if (new Set(kinds).size < kinds.length) {
    throw new EspalierError(`${origin}: space.kinds: ${kinds.join(", ")} names a kind twice`, {
      code: "input",
      mend: "List each kind once, with all its sizes.",
    });
  }
  for (const { field, method } of methodsOf(experiment)) {
    if ("kind" in method && method.kind !== null && method.kind !== "all" && !kinds.includes(method.kind)) {
      throw new EspalierError(`${origin}: ${field}.kind: "${method.kind}" is not in the space`, {
        code: "input",
        mend: `Add it to space.kinds, or choose one of: ${kinds.join(", ")}.`,
      });
    }
  }
}

function checkQuantization({ backbone, methods, training }: Experiment, origin: string): void {
  const given = `${origin}: backbone.quantization: "${backbone.quantization}"`;
  if (backbone.quantization === null) return;
  const full = methods.findIndex((method) => method.method === "full");
  if (full !== -1) {
    throw new EspalierError(`${given} leaves methods[${full}], full fine-tuning, no weights that it could train`, {
      code: "input",
      mend: "Leave out the method, or the quantisation.",
    });
  }
  if (training.device === "cpu") {
    throw new EspalierError(`${given} needs CUDA, but training.device is "cpu"`, {
      code: "input",
      mend: 'Set training.device to "cuda", or leave out the quantisation.',
    });
  }
}

/** A prior that relates tasks needs two of them. */
function checkPriors(experiment: Experiment, origin: string): void {
  if (experiment.tasks.length > 1) return;
  for (const { field, method } of methodsOf(experiment)) {
    if ("prior" in method && method.prior !== null && method.prior.tasks > 0) {
      throw new EspalierError(
        `${origin}: ${field}.prior.tasks: ${method.prior.tasks} relates tasks, and there is one`,
        {
          code: "input",
          mend: "Set it to 0, or add a task.",
        },
      );
    }
  }
}

/** The methods, and those inside them, with their fields. */
function methodsOf(experiment: Experiment): { field: string; method: Method }[] {
  return experiment.methods.flatMap((method, index): { field: string; method: Method }[] => {
    const field = `methods[${index}]`;
    if (method.method === "race") {
      const proposals = method.proposals.map((entry, place) => ({
        field: `${field}.proposals[${place}]`,
        method: entry,
      }));
      return [{ field, method }, ...proposals];
    }
    if (method.method === "from")
      return [
        { field, method },
        { field: `${field}.search`, method: method.search },
      ];
    return [{ field, method }];
  });
}

/** A metric that says nothing about a task of its kind. */
function checkMetrics(experiment: Experiment, origin: string): void {
  for (const [index, { kind, metric }] of experiment.tasks.entries()) {
    if (metric === null || metricsOf[kind].includes(metric)) continue;
    throw new EspalierError(`${origin}: tasks[${index}].metric: "${metric}" cannot score a ${kind}`, {
      code: "input",
      mend: `Use one of: ${metricsOf[kind].join(", ")}.`,
    });
  }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
}
