/** Reads run directories: what is there, what it says, and what state it is in. */
import { readdir, readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import type { z } from "zod";
import { EspalierError } from "../errors.js";
import { nearest } from "../experiment/check.js";
import {
  type Event,
  EventSchema,
  type Race,
  RaceSchema,
  type Robustness,
  RobustnessSchema,
  type RunRecord,
  RunRecordSchema,
  type Structure,
  StructureSchema,
  type TrialResult,
  TrialResultSchema,
} from "../experiment/records.js";
import { type Plan, PlanSchema } from "../experiment/schema/index.js";
import { files } from "./layout.js";

/**
 * `running`: a process writes it now; `interrupted`: it was begun and nobody writes it; `damaged`: its plan or record cannot
 * be read; `newer`: a newer Espalier wrote it.
 */
export type RunState = "done" | "failed" | "running" | "interrupted" | "damaged" | "newer";

export interface RunSummary {
  directory: string;
  name: string;
  state: RunState;
  /** Why it is damaged or newer. */
  problem: string | undefined;
  plan: Plan | undefined;
  record: RunRecord | undefined;
  started: Date | undefined;
}

/** What a newer Espalier wrote is never half understood: it is refused with its version. */
export class NewerVersion extends EspalierError {}

/** All runs of a folder, newest first; one that cannot be read is listed as damaged or newer. */
export async function listRuns(folder: string): Promise<RunSummary[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => entry.name);
  const runs = await Promise.all(names.map((name) => summariseRun(path.join(folder, name))));
  return runs
    .filter((run) => run !== undefined)
    .sort((a, b) => (b.started?.getTime() ?? 0) - (a.started?.getTime() ?? 0) || (a.name < b.name ? -1 : 1));
}

/**
 * The directory of the run that a user named: a path, a name in `folder`, the beginning of either, or "latest".
 *
 * @throws EspalierError ("input") naming the nearest run
 */
export async function findRun(given: string, folder: string): Promise<string> {
  if (await isRun(given)) return path.resolve(given);
  if (path.basename(given) !== given) return findRun(path.basename(given), path.dirname(given));
  const runs = await listRuns(folder);
  if (given === "latest" && runs[0] !== undefined) return path.resolve(runs[0].directory);
  const names = runs.map((run) => run.name);
  const matching = names.includes(given) ? [given] : names.filter((name) => name.startsWith(given));
  if (matching.length === 1) return path.resolve(folder, matching[0]!);
  if (matching.length > 1) {
    throw new EspalierError(
      `run: "${given}" is the beginning of ${matching.length} runs: ${matching.slice(0, 5).join(", ")}`,
      {
        code: "input",
        mend: "Give more of the name.",
      },
    );
  }
  const near = nearest(given, ["latest", ...names]) ?? names[0];
  throw new EspalierError(`run: "${given}" is neither a run directory nor a run in ${path.resolve(folder)}`, {
    code: "input",
    mend:
      names.length === 0
        ? "No run is there yet: espalier quickstart makes one."
        : `Did you mean "${near}"? espalier runs lists them.`,
  });
}

/** @throws EspalierError ("input") where the plan is missing, of a newer version, or not of its form */
export function readPlan(directory: string): Promise<Plan> {
  return readVersioned(path.join(directory, files.plan), PlanSchema);
}

/** The run's record, undefined while there is none. */
export async function readRecord(directory: string): Promise<RunRecord | undefined> {
  const file = path.join(directory, files.record);
  if (!(await exists(file))) return undefined;
  const record = await readVersioned(file, RunRecordSchema);
  return { ...record, run: directory };
}

/** The structure of a trial, undefined where the trial did not finish. */
export async function readStructure(directory: string, trial: string): Promise<Structure | undefined> {
  const file = path.join(directory, files.structure(trial));
  return (await exists(file)) ? readVersioned(file, StructureSchema) : undefined;
}

/** What ran against what in a trial's race, undefined where it is of another method or did not finish. */
export async function readRace(directory: string, trial: string): Promise<Race | undefined> {
  const file = path.join(directory, files.race(trial));
  return (await exists(file)) ? readVersioned(file, RaceSchema) : undefined;
}

/** @throws EspalierError ("input") where the file is no structure, or of a newer version */
export function readStructureFile(file: string): Promise<Structure> {
  return readVersioned(file, StructureSchema);
}

/** What came of a trial, undefined while it has not ended. */
export async function readResult(directory: string, trial: string): Promise<TrialResult | undefined> {
  const file = path.join(directory, files.result(trial));
  return (await exists(file)) ? readVersioned(file, TrialResultSchema) : undefined;
}

/** The robustness card, undefined while none was made. */
export async function readRobustness(directory: string): Promise<Robustness | undefined> {
  const file = path.join(directory, files.robustness);
  if (!(await exists(file))) return undefined;
  return { ...(await readVersioned(file, RobustnessSchema)), run: directory };
}

/** The events so far, and a warning for each line that is not one: a torn last line is what a killed writer leaves. */
export async function readEvents(directory: string): Promise<{ events: Event[]; warnings: string[] }> {
  const file = path.join(directory, files.events);
  const text = await readFile(file, "utf8").catch(() => "");
  const events: Event[] = [];
  const warnings: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const event = parseEvent(line);
    if (event === undefined) warnings.push(`${file}:${index + 1}: not a whole event; left out`);
    else events.push(event);
  }
  return { events, warnings };
}

/** The event that a line holds; undefined for a torn or unknown one. */
export function parseEvent(line: string): Event | undefined {
  try {
    const parsed = EventSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** One run of a folder; undefined where the directory is none. */
export async function summariseRun(directory: string): Promise<RunSummary | undefined> {
  if (!(await isRun(directory))) return undefined;
  const name = path.basename(directory);
  const started = await stat(path.join(directory, files.plan)).then(
    (info) => info.mtime,
    () => undefined,
  );
  const summary = { directory, name, started, problem: undefined, plan: undefined, record: undefined };
  let plan: Plan | undefined;
  try {
    plan = await readPlan(directory);
    const record = await readRecord(directory);
    const state = (await hasWriter(directory)) ? "running" : (record?.status ?? "interrupted");
    return { ...summary, state, plan, record };
  } catch (error) {
    const newer = error instanceof NewerVersion;
    return {
      ...summary,
      state: newer ? "newer" : "damaged",
      problem: (error as Error).message,
      plan: newer ? undefined : plan,
    };
  }
}

/** Whether the process that the writer's lock names is alive; one of another host is taken to be. */
export async function hasWriter(directory: string): Promise<boolean> {
  try {
    const { pid, host } = JSON.parse(await readFile(path.join(directory, "writer.lock"), "utf8")) as {
      pid: number;
      host: string;
    };
    if (host !== hostname()) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function readVersioned<Schema extends z.ZodType>(file: string, schema: Schema): Promise<z.output<Schema>> {
  let data: unknown;
  try {
    data = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new EspalierError(`${file}: cannot be read: ${(error as Error).message}`, {
      code: "input",
      mend: "The run is damaged; run it again.",
    });
  }
  const version = (data as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > 1) {
    throw new NewerVersion(`${file}: version ${version} was written by a newer Espalier; this one reads version 1`, {
      code: "input",
      mend: "Update Espalier.",
    });
  }
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new EspalierError(`${file}: ${issue?.path.join(".")}: ${issue?.message}`, {
    code: "input",
    mend: "The run is damaged; run it again.",
  });
}

/** Whether a plan lies there. */
export function isRun(directory: string): Promise<boolean> {
  return exists(path.join(directory, files.plan));
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
