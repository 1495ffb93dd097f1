/** espalier run and quickstart: run an experiment and show what came out. */
import path from "node:path";
import { startDashboard } from "../dashboard/server.js";
import { EspalierError } from "../errors.js";
import { quickstart } from "../experiment/presets.js";
import type { RunRecord } from "../experiment/records.js";
import { paintFor } from "../report/paint.js";
import { runReport } from "../report/run-report.js";
import { type RunOptions, resumeRun, run } from "../run.js";
import { readOutcome } from "../runs/outcome.js";
import { findRun } from "../runs/read.js";
import { announce, openInBrowser } from "./dashboard.js";
import { loadExperiment } from "./experiment-file.js";
import { onInterrupt } from "./interrupt.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export interface RunCommandOptions extends CommonOptions {
  runs: string;
  resume?: string;
  dashboard?: boolean;
}

export async function runCommand(file: string | undefined, options: RunCommandOptions): Promise<number> {
  if (options.resume !== undefined) {
    if (file !== undefined) {
      throw new EspalierError(`run: ${file} and --resume were both given`, {
        code: "input",
        mend: "A resumed run has its own plan: leave out the file, or leave out --resume to start anew.",
      });
    }
    const directory = await findRun(options.resume, options.runs);
    return carryOut(options, (settings) => resumeRun(directory, settings));
  }
  if (file === undefined) {
    throw new EspalierError("run: no experiment was given", {
      code: "input",
      mend: "Give a file, as in: espalier run experiment.ts; or --resume RUN.",
    });
  }
  const experiment = await loadExperiment(file);
  return carryOut(options, (settings) =>
    run(experiment, {
      ...settings,
      runsFolder: options.runs,
      baseFolder: path.dirname(path.resolve(file)),
      origin: path.basename(file),
    }),
  );
}

export function quickstartCommand(options: RunCommandOptions): Promise<number> {
  return carryOut(options, (settings) =>
    run(quickstart, { ...settings, runsFolder: options.runs, origin: "quickstart" }),
  );
}

async function carryOut(
  options: RunCommandOptions,
  start: (settings: RunOptions) => Promise<RunRecord>,
): Promise<number> {
  await using dashboard = options.dashboard ? await startDashboard({ folder: options.runs }) : undefined;
  if (dashboard !== undefined) announce(dashboard);
  const progress = progressFor(options);
  const interrupt = onInterrupt(progress);
  let record: RunRecord;
  try {
    record = await start({
      signal: interrupt.signal,
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      onEvent: (event) => progress.event(event),
      onDirectory: (directory) => {
        if (dashboard !== undefined)
          openInBrowser(`${dashboard.url}#/run/${encodeURIComponent(path.basename(directory))}`);
      },
    });
  } finally {
    progress.end();
    interrupt.dispose();
  }
  const outcome = await readOutcome(record);
  if (options.json) printJson({ ...record, failures: outcome.failures });
  else print(runReport(outcome, paintFor(process.stdout)));
  return record.status === "done" ? 0 : 1;
}
