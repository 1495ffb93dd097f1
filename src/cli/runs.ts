/** espalier runs: what ran, newest first, and what state it is in. */
import path from "node:path";
import { points, toNumber } from "../report/numbers.js";
import { paintFor } from "../report/paint.js";
import { listRuns, type RunState } from "../runs/read.js";
import { type CommonOptions, print, printJson, say } from "./output.js";

export async function runsCommand(folder: string, options: CommonOptions): Promise<number> {
  const runs = await listRuns(folder);
  const rows = runs.map(({ directory, name, state, problem, plan, record, started }) => ({
    directory: path.resolve(directory),
    name,
    state,
    problem: problem ?? null,
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
  const paint = paintFor(process.stdout);
  const tone: Partial<Record<RunState, (text: string) => string>> = { running: paint.good, done: (text) => text };
  for (const row of rows) {
    const scores = row.answer.map((entry) => `${entry.task} ${points(entry.mean)}`).join(", ");
    const state = (tone[row.state] ?? paint.bad)(row.state.padEnd(12));
    const rest = row.problem ?? `${scores || row.tasks.join(", ")}  (${row.methods.join(", ")})`;
    print(`${row.name}\n  ${state} ${rest}`);
  }
  return 0;
}
