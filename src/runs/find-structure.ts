/** The structure that a user named. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import type { Structure } from "../experiment/records.js";
import { findTrial } from "./find-trial.js";
import { readPlan, readStructure, readStructureFile } from "./read.js";

export interface FoundStructure {
  /** The file it was read from. */
  file: string;
  structure: Structure;
}

/**
 * A structure.json, a trial's folder, RUN/TRIAL, or RUN for the first finished trial of its answer. RUN is named as for `findRun`.
 *
 * @throws EspalierError ("input") naming the trials there are
 */
export async function findStructure(given: string, runsFolder: string): Promise<FoundStructure> {
  for (const file of [given, path.join(given, "structure.json")]) {
    if (await isFile(file)) return { file: path.resolve(file), structure: await readStructureFile(file) };
  }
  const { run, trial } = await findTrial(given, runsFolder);
  if (trial !== undefined) return ofRun(run, [trial]);
  const { methods, trials } = await readPlan(run);
  return ofRun(
    run,
    trials.filter((entry) => entry.method === methods[0]?.name).map((entry) => entry.id),
  );
}

/** The structure of the first of `trials` that has one. */
async function ofRun(run: string, trials: readonly string[]): Promise<FoundStructure> {
  for (const trial of trials) {
    const structure = await readStructure(run, trial);
    if (structure !== undefined) return { file: path.join(run, "trials", trial, "structure.json"), structure };
  }
  const all = (await readPlan(run)).trials.map((trial) => trial.id);
  throw new EspalierError(`structure: no finished trial ${trials.join(" or ")} is in ${run}`, {
    code: "input",
    mend: `Name one that is finished as RUN/TRIAL; the run's trials are: ${all.join(", ")}.`,
  });
}

function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
