/** The run, and perhaps the trial of it, that a user named. */
import path from "node:path";
import { findRun } from "./read.js";

export interface FoundTrial {
  /** The run's directory. */
  run: string;
  /** Undefined where the run alone was named. */
  trial: string | undefined;
}

/**
 * RUN, named as for `findRun`, or RUN/TRIAL. Whether the run has such a trial is not looked at.
 *
 * @throws EspalierError ("input") naming the nearest run
 */
export async function findTrial(given: string, runsFolder: string): Promise<FoundTrial> {
  const whole = await findRun(given, runsFolder).catch(() => undefined);
  if (whole !== undefined) return { run: whole, trial: undefined };
  const parent = path.dirname(given);
  return { run: await findRun(parent === "." ? given : parent, runsFolder), trial: path.basename(given) };
}
