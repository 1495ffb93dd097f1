/** Runs what a script needs, computes nothing twice, and ends the script as a command ends. */
import { reportError, say } from "../../src/cli/output.js";
import { progressFor } from "../../src/cli/progress.js";
import {
  type ExperimentDefinition,
  type Robustness,
  type RobustnessSettings,
  type RunRecord,
  robustness,
  run,
} from "../../src/index.js";
import { relative } from "../../src/report/export-lines.js";
import type { Options } from "./options.js";

/** The experiment's record; an ended run of it is read back, an interrupted one continued, equal trials are shared. */
export async function carryOut(experiment: ExperimentDefinition, { runs }: Pick<Options, "runs">): Promise<RunRecord> {
  const progress = progressFor({});
  try {
    return await run(experiment, {
      runsFolder: runs,
      reuse: true,
      origin: experiment.name,
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      onEvent: (event) => progress.event(event),
      onDirectory: (directory) => say(`${experiment.name}: ${relative(directory)}`),
    });
  } finally {
    progress.end();
  }
}

/** The robustness card of a run; what was measured before is read back. */
export async function underNoise(record: RunRecord, settings: RobustnessSettings): Promise<Robustness> {
  const progress = progressFor({});
  try {
    return await robustness(record.run, { ...settings, onMeasured: ({ trial, done }) => progress.setUp(trial, done) });
  } finally {
    progress.end();
  }
}

/** Runs a script's body; an error is told in a line or two, and sets the exit code. */
export async function script(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    process.exitCode = reportError(error, { verbose: process.env.DEBUG !== undefined });
  }
}
