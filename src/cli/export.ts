/** espalier export: takes the answer's adapter away, reloaded and compared. */
import path from "node:path";
import type { Export } from "../experiment/records.js";
import { launchInProcess } from "../launch/in-process.js";
import { exportLines } from "../report/export-lines.js";
import { findRun, readPlan } from "../runs/read.js";
import { onInterrupt } from "./interrupt.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export interface ExportOptions extends CommonOptions {
  runs: string;
  to: Export["to"];
  task?: string;
  trial?: string;
  output?: string;
}

export async function exportCommand(given: string, options: ExportOptions): Promise<number> {
  const directory = await findRun(given, options.runs);
  const plan = await readPlan(directory);
  const progress = progressFor(options);
  const interrupt = onInterrupt(progress);
  try {
    await using launcher = await launchInProcess({
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      signal: interrupt.signal,
      uses: { backbone: plan.backbone, tasks: plan.tasks, exports: options.to },
    });
    progress.end();
    const exports = await launcher.export(
      directory,
      {
        to: options.to,
        task: options.task ?? null,
        trial: options.trial ?? null,
        destination: options.output === undefined ? null : path.resolve(options.output),
      },
      { signal: interrupt.signal },
    );
    if (options.json) printJson({ run: directory, exports });
    else print(exports.map(exportLines).join("\n"));
    return 0;
  } finally {
    progress.end();
    interrupt.dispose();
  }
}
