/** espalier show: what came out of a run. */
import { EspalierError } from "../errors.js";
import { paintFor } from "../report/paint.js";
import { runReport } from "../report/run-report.js";
import { readOutcome } from "../runs/outcome.js";
import { findRun, readEvents, readPlan, readRecord } from "../runs/read.js";
import { type CommonOptions, print, printJson } from "./output.js";

export interface RunsOptions extends CommonOptions {
  runs: string;
}

export async function showCommand(given: string, options: RunsOptions): Promise<number> {
  const directory = await findRun(given, options.runs);
  const record = await readRecord(directory);
  if (record === undefined) {
    await readPlan(directory);
    const { events } = await readEvents(directory);
    const finished = events.filter((event) => event.type === "trial.finished").length;
    throw new EspalierError(`${directory}: the run has not ended; ${finished} of its trials are finished`, {
      code: "run",
      mend: `If nothing writes it any more, continue it with: espalier run --resume ${given}`,
    });
  }
  const outcome = await readOutcome(record);
  if (options.json) printJson({ ...record, failures: outcome.failures, structure: outcome.structure ?? null });
  else print(runReport(outcome, paintFor(process.stdout)));
  return 0;
}
