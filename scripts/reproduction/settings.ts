/** Backbone, tasks, training and budgets of each scale. */
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { type ExperimentDefinition, model, task } from "../../src/index.js";
import { folderTask } from "../survey/rows.js";
import type { Options } from "./options.js";

type Task = ExperimentDefinition["tasks"][number];
type Training = NonNullable<ExperimentDefinition["training"]>;

/** Rates of the scales' batch size for adapters; a method with another rate of its own says so. */
const training: Record<Options["scale"], Training> = {
  smoke: { maxSteps: 3, batchSize: 8, learningRate: 3e-3, maxLength: 24 },
  small: { maxSteps: 40, batchSize: 16, learningRate: 3e-3, maxLength: 64 },
  medium: { maxSteps: 80, batchSize: 16, learningRate: 3e-3, maxLength: 96 },
  paper: { epochs: 5, batchSize: 32, learningRate: 5e-4, maxLength: 256, device: "cuda" },
};

/** Sizes that give each published method about its published share of the backbone (methods of RoBERTa-base, and of MiniLM). */
export const sizes = {
  // MiniLM, 22.7 million parameters: 0.81 %, 0.51 %, 1.9 %.
  minilm: { loraRank: 10, prefixTokens: 25, fusion: { size: 36, attention: 12 } },
  // RoBERTa-base, 124.6 million parameters: 0.83 %, 0.50 %, 2.0 %.
  roberta: { loraRank: 14, prefixTokens: 34, fusion: { size: 48, attention: 20 } },
} as const;

export function sizesFor({ scale }: Options) {
  return scale === "paper" ? sizes.roberta : sizes.minilm;
}

export function trainingFor({ scale }: Options): Training {
  return training[scale];
}

export function backboneFor({ scale, backbone }: Options): ExperimentDefinition["backbone"] {
  if (scale !== "paper") return model.miniLM();
  return existsSync(backbone) && statSync(backbone).isDirectory()
    ? model.folder(path.resolve(backbone))
    : model.hub(backbone);
}

/** At paper scale every method tries the same number of rates; below it the rates are stated and the same for all adapters. */
export function tuneFor({ scale }: Options): Pick<ExperimentDefinition, "tune"> {
  return scale === "paper" ? { tune: { learningRates: [2e-4, 5e-4, 1e-3] } } : {};
}

/** The two tasks of the published table; where their data are not given, the two embedded ones stand in. */
export function pairOfTasks(options: Options): Task[] {
  return tasksNamed(["mnli", "boolq"], options);
}

/** @throws EspalierError ("input") where a file is not there */
export function tasksNamed(names: readonly (keyof typeof onTheHub)[], { scale, data, runs }: Options): Task[] {
  if (scale === "paper") return names.map((name) => onTheHub[name]);
  if (scale === "smoke") return [fewRows("snips", "test"), fewRows("qnli", "validation")];
  if (data === undefined) return [task.embedded("snips"), task.embedded("qnli")];
  return names.map((name) =>
    folderTask(name, {
      data,
      evaluated: evaluatedRows[scale],
      copies: path.join(runs, `rows-${evaluatedRows[scale]}`),
    }),
  );
}

/** Whether the tasks are those that were asked for, and not the embedded ones in their place. */
export function areNamedTasks({ scale, data }: Options): boolean {
  return scale === "paper" || (scale !== "smoke" && data !== undefined);
}

const glue = (config: string, columns: { text: string; textPair?: string }, evaluation = "validation") =>
  task.hub("nyu-mll/glue", { name: config, config, columns, evaluation });

/** Choices are made on a part of train; GLUE's test labels are not public, so that validation is what is evaluated. */
const onTheHub = {
  mnli: glue("mnli", { text: "premise", textPair: "hypothesis" }, "validation_matched"),
  boolq: task.hub("google/boolq", {
    name: "boolq",
    columns: { text: "question", textPair: "passage", label: "answer" },
  }),
  sst2: glue("sst2", { text: "sentence" }),
  qnli: glue("qnli", { text: "question", textPair: "sentence" }),
  trec: task.hub("SetFit/TREC-QC", {
    name: "trec",
    columns: { text: "text", label: "label_coarse" },
    evaluation: "test",
  }),
  ag_news: task.hub("fancyzhx/ag_news", { name: "ag_news", evaluation: "test" }),
} as const;

/** Rows that a task is evaluated on, where it is read from a folder: the time is for training. */
const evaluatedRows = { small: 300, medium: 500 };

/** The first rows of an embedded task, so that nothing takes long. */
function fewRows(id: "snips" | "qnli", split: "test" | "validation"): Task {
  const folder = path.join(import.meta.dirname, "..", "..", "python", "espalier_runtime", "embedded");
  const rows = (part: string, count: number) =>
    gunzipSync(readFileSync(path.join(folder, `${id}.${part}.jsonl.gz`)))
      .toString()
      .split("\n", count)
      .map((line) => JSON.parse(line));
  return task.rows(id, { train: rows("train", 64), [split]: rows(split, 32) });
}
