/** espalier show and runs: what ran, and what came out. */
import path from "node:path";
import { EspalierError } from "../errors.js";
import { points, toNumber } from "../report/numbers.js";
import { paintFor } from "../report/paint.js";
import { runReport } from "../report/run-report.js";
import { readOutcome } from "../runs/outcome.js";
import { findRun, listRuns, readEvents, readPlan, readRecord } from "../runs/read.js";
import { type CommonOptions, print, printJson, say } from "./output.js";

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

export async function runsCommand(folder: string, options: CommonOptions): Promise<number> {
  const runs = await listRuns(folder);
  const rows = runs.map(({ directory, name, state, plan, record, started }) => ({
    directory: path.resolve(directory),
    name,
    state,
    started: started?.toISOString() ?? null,
    tasks: plan?.tasks.map((task) => task.name) ?? [],
    methods: plan?.methods.map((method) => method.name ?? method.method) ?? [],
    answer: (record?.rows ?? [])
      .filter((row) => row.method === record?.rows[0]?.method && row.mean !== null)
      .map((row) => ({ task: row.task, metric: row.metric, mean: toNumber(row.mean!) })),
  }));
  if (options.json) {
    printJson({ runs: rows });
    return 0;
  }
  if (rows.length === 0) say(`no runs in ${folder}; espalier quickstart makes the first`);
  for (const row of rows) {
    const scores = row.answer.map((entry) => `${entry.task} ${points(entry.mean)}`).join(", ");
    print(`${row.name}\n  ${row.state.padEnd(12)} ${scores || row.tasks.join(", ")}  (${row.methods.join(", ")})`);
  }
  return 0;
}
