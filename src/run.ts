/** Runs experiments and opens runs: what a program calls. */
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "./errors.js";
import type { ExperimentDefinition } from "./experiment/define.js";
import { planExperiment, planFiles, planHash } from "./experiment/plan.js";
import type { Event, Robustness, RunRecord, Structure } from "./experiment/records.js";
import type { ExperimentInput, Plan } from "./experiment/schema/index.js";
import type { ComparisonTableRow, PredictionTableRow, ResultTableRow } from "./experiment/tables.js";
import { earlyEnd } from "./launch/early-end.js";
import { type InProcessOptions, launchInProcess } from "./launch/in-process.js";
import type { LaunchOptions } from "./launch/launcher.js";
import { type LossCurve, readCurves } from "./runs/curves.js";
import { followEvents } from "./runs/follow.js";
import { type Gates, readGates } from "./runs/gates.js";
import { createRunDirectory, files } from "./runs/layout.js";
import { listRuns, type RunSummary, readPlan, readRecord, readRobustness, readStructure } from "./runs/read.js";
import { readComparisonTable, readPredictions, readResultTable } from "./runs/tables.js";

export interface RunOptions extends LaunchOptions, Omit<InProcessOptions, "directory" | "uses"> {
  /** The folder that takes the run's directory; default: runs. */
  runsFolder?: string;
  /**
   * Nothing is computed twice: an ended run of the same plan in `runsFolder` is returned as it is, an interrupted one is continued,
   * and finished trials of other runs there are taken over where data, model, settings and code are the same. A run that began
   * before one of the plan's files was last written is another run. Default: false.
   */
  reuse?: boolean;
  /** The folder that the experiment's relative paths start from; default: the working directory. */
  baseFolder?: string;
  /** How messages call the experiment; default: "experiment". */
  origin?: string;
  /** Told the run's directory as soon as it is made. */
  onDirectory?: (directory: string) => void;
}

/**
 * Runs an experiment: plan, search, fit, evaluate, compare, export. Where it fails before there is anything to keep, its
 * directory is taken away again.
 *
 * @throws EspalierError ("input") before anything is trained where the experiment or its files are wrong, ("environment")
 *   where Python cannot be made ready
 * @throws Interrupted, PythonCrashed where the run ended early; what was finished stays, and `resumeRun` continues it
 */
export async function run(
  experiment: ExperimentDefinition | ExperimentInput,
  options: RunOptions = {},
): Promise<RunRecord> {
  const { runsFolder = "runs", baseFolder = process.cwd(), origin = "experiment", reuse = false } = options;
  const plan = planExperiment(experiment, { baseFolder, origin });
  const share = reuse ? path.resolve(runsFolder) : undefined;
  const same = reuse ? await findSame(plan, runsFolder) : undefined;
  if (same?.record?.status === "done") {
    options.onDirectory?.(same.directory);
    return same.record;
  }
  if (same !== undefined) return execute(plan, same.directory, options, share);
  const directory = await createRunDirectory(plan, runsFolder);
  try {
    return await execute(plan, directory, options, share);
  } catch (error) {
    if (!(await isWorthKeeping(directory, error))) await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Continues a run where it stopped: finished trials are kept, the one that was under way goes on from its checkpoint. */
export async function resumeRun(
  directory: string,
  options: Omit<RunOptions, "runsFolder" | "baseFolder"> = {},
): Promise<RunRecord> {
  return execute(await readPlan(directory), path.resolve(directory), options);
}

/** A run directory, to be read while it is written or afterwards. */
export interface OpenRun {
  readonly directory: string;
  plan(): Promise<Plan>;
  /** Undefined until the run has ended. */
  record(): Promise<RunRecord | undefined>;
  /** The rows of results.parquet; undefined until the run has ended. */
  results(): Promise<ResultTableRow[] | undefined>;
  /** The rows of comparisons.parquet; undefined until the run has ended. */
  comparisons(): Promise<ComparisonTableRow[] | undefined>;
  /** What a trial predicted for each row of the evaluation splits; undefined until the trial is done. */
  predictions(trial: string): Promise<PredictionTableRow[] | undefined>;
  /** Undefined until `robustness` has made it. */
  robustness(): Promise<Robustness | undefined>;
  /** The structure that a trial found; undefined until the trial has ended. */
  structure(trial: string): Promise<Structure | undefined>;
  /** The gates of a trial's search, as far as it has come; undefined where it learns none. */
  gates(trial: string): Promise<Gates | undefined>;
  /** The losses of a trial's stages, thinned for drawing. */
  curves(trial: string): Promise<LossCurve[]>;
  /** All events from the first on; waits for more while the run is written. */
  events(signal?: AbortSignal): AsyncGenerator<Event>;
}

/** Opens a run directory. Nothing is read before it is asked for. */
export function openRun(directory: string): OpenRun {
  return {
    directory: path.resolve(directory),
    plan: () => readPlan(directory),
    record: () => readRecord(directory),
    results: () => readResultTable(directory),
    comparisons: () => readComparisonTable(directory),
    predictions: (trial) => readPredictions(directory, trial),
    robustness: () => readRobustness(directory),
    structure: (trial) => readStructure(directory, trial),
    gates: (trial) => readGates(directory, trial),
    curves: async (trial) => {
      const { trials } = await readPlan(directory);
      return readCurves(directory, trial, trials.find(({ id }) => id === trial)?.method ?? trial);
    },
    events: (signal) => followEvents(directory, signal),
  };
}

/** The newest run of the same plan, on the files as they are, that nobody writes; of several the one that has ended. */
async function findSame(plan: Plan, folder: string): Promise<RunSummary | undefined> {
  const hash = planHash(plan);
  const changed = await lastChange(planFiles(plan));
  const runs = (await listRuns(folder)).filter(
    (found) => found.plan !== undefined && planHash(found.plan) === hash && (found.started?.getTime() ?? 0) >= changed,
  );
  const ended = runs.find(({ state }) => state === "done");
  const same = ended ?? runs.find(({ state }) => state === "interrupted" || state === "failed");
  return same === undefined ? undefined : { ...same, directory: path.resolve(same.directory) };
}

/** When the newest of the files, and of those in the folders, came to its place or was written; 0 where there is none. */
async function lastChange(places: readonly string[]): Promise<number> {
  const inside = async (place: string) => (await readdir(place).catch(() => [])).map((name) => path.join(place, name));
  const every = [...places, ...(await Promise.all(places.map(inside))).flat()];
  // ctime: copying an older file over another one leaves mtime old.
  const times = await Promise.all(
    every.map((file) =>
      stat(file).then(
        (found) => found.ctimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(0, ...times);
}

async function execute(plan: Plan, directory: string, options: RunOptions, share?: string): Promise<RunRecord> {
  options.onDirectory?.(directory);
  await mkdir(directory, { recursive: true });
  await using launcher = await launchInProcess({ ...options, directory, uses: plan });
  try {
    const record = await launcher.run(plan, directory, { ...options, ...(share === undefined ? {} : { share }) });
    await report(directory, options);
    return record;
  } catch (error) {
    throw (await hasBegun(directory)) ? earlyEnd(error, directory) : error;
  }
}

/** What was trained does not depend on its picture: a report that cannot be written is a warning. */
async function report(directory: string, { onWarning }: RunOptions): Promise<void> {
  try {
    const { writeReport } = await import("./report/html/write.js");
    await writeReport(directory);
  } catch (error) {
    onWarning?.(`the report could not be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Wrong input is mended and run anew; what else stops a run that had begun may be looked into, and the run continued. */
async function isWorthKeeping(directory: string, error: unknown): Promise<boolean> {
  const trials = await readdir(path.join(directory, "trials")).catch(() => []);
  if (trials.length > 0) return true;
  return (await hasBegun(directory)) && !(error instanceof EspalierError && error.code === "input");
}

/** Whether Python came to running the plan. */
function hasBegun(directory: string): Promise<boolean> {
  return stat(path.join(directory, files.events)).then(
    () => true,
    () => false,
  );
}
