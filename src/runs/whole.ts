/** All that a run's pictures are drawn from, read at once. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Event, Robustness, RunRecord, Structure, TrialResult } from "../experiment/records.js";
import type { Plan } from "../experiment/schema/index.js";
import { type LossCurve, readCurves } from "./curves.js";
import { type Gates, readGates } from "./gates.js";
import { files } from "./layout.js";
import { readEvents, readPlan, readRecord, readResult, readRobustness, readStructure } from "./read.js";

export interface WholeRun {
  /** The name of the run's directory. */
  name: string;
  plan: Plan;
  /** Undefined until the run has ended. */
  record: RunRecord | undefined;
  /** Undefined until `espalier robustness` has made it. */
  robustness: Robustness | undefined;
  /** Versions, device and hashes, as lock.json has them. */
  lock: unknown;
  events: Event[];
  /** By trial; only those that came to them. */
  results: Record<string, TrialResult>;
  structures: Record<string, Structure>;
  gates: Record<string, Gates>;
  curves: LossCurve[];
}

/**
 * Reads the whole run.
 *
 * @throws EspalierError ("input") where the directory is no run, or a file of it is damaged
 */
export async function readWholeRun(directory: string): Promise<WholeRun> {
  const plan = await readPlan(directory);
  const whole: WholeRun = {
    name: path.basename(path.resolve(directory)),
    plan,
    record: await readRecord(directory),
    robustness: await readRobustness(directory),
    lock: await readLock(directory),
    events: (await readEvents(directory)).events,
    results: {},
    structures: {},
    gates: {},
    curves: [],
  };
  for (const { id, method } of plan.trials) {
    const result = await readResult(directory, id);
    const structure = await readStructure(directory, id);
    const gates = await readGates(directory, id);
    if (result !== undefined) whole.results[id] = result;
    if (structure !== undefined) whole.structures[id] = structure;
    if (gates !== undefined) whole.gates[id] = gates;
    whole.curves.push(...(await readCurves(directory, id, method)));
  }
  return whole;
}

/** lock.json as it is; null where there is none yet, or it cannot be read. */
export async function readLock(directory: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path.join(directory, files.lock), "utf8"));
  } catch {
    return null;
  }
}
