/** espalier merge: the LoRA adapters of several tasks as one, reloaded, compared and scored. */
import path from "node:path";
import type { Merge } from "../experiment/records.js";
import { launchInProcess } from "../launch/in-process.js";
import { mergeLines } from "../report/merge-lines.js";
import { findTrial } from "../runs/find-trial.js";
import { readPlan } from "../runs/read.js";
import { onInterrupt } from "./interrupt.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export interface MergeOptions extends CommonOptions {
  runs: string;
  method: Merge["method"];
  weight?: number;
  density: number;
  rank?: number;
  task?: string[];
  output?: string;
}

export async function mergeCommand(given: readonly string[], options: MergeOptions): Promise<number> {
  const runs = await Promise.all(given.map((name) => findTrial(name, options.runs)));
  for (const { run } of runs) await readPlan(run);
  const progress = progressFor(options);
  const interrupt = onInterrupt(progress);
  try {
    await using launcher = await launchInProcess({
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      signal: interrupt.signal,
    });
    progress.end();
    const merge = await launcher.merge(
      {
        runs: runs.map(({ run, trial }) => ({ directory: run, trial: trial ?? null })),
        method: options.method,
        weight: options.weight ?? null,
        density: options.density,
        rank: options.rank ?? null,
        tasks: options.task ?? [],
        destination: options.output === undefined ? null : path.resolve(options.output),
      },
      { signal: interrupt.signal },
    );
    if (options.json) printJson(merge);
    else print(mergeLines(merge));
    return 0;
  } finally {
    progress.end();
    interrupt.dispose();
  }
}
