/** espalier compare: a method of one run against one of another, paired by seed and by item. */
import { launchInProcess } from "../launch/in-process.js";
import { comparisonLines } from "../report/comparison-lines.js";
import { paintFor } from "../report/paint.js";
import { comparable, readSide } from "../runs/comparable.js";
import { findTrial } from "../runs/find-trial.js";
import { onInterrupt } from "./interrupt.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export interface CompareOptions extends CommonOptions {
  runs: string;
}

export async function compareCommand(options: CompareOptions, given: string, against: string): Promise<number> {
  const [a, b] = await Promise.all([given, against].map((name) => sideOf(name, options.runs)));
  const { tasks, differs } = comparable(a!, b!);
  const progress = progressFor(options);
  const interrupt = onInterrupt(progress);
  try {
    await using launcher = await launchInProcess({
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      signal: interrupt.signal,
    });
    progress.end();
    const metrics = Object.fromEntries(
      tasks.map((task) => [task, a!.record.rows.find((row) => row.task === task)!.metric]),
    );
    const [ofA, ofB] = [a!, b!].map(({ directory, method, name }) => ({ directory, method, name }));
    const compared = await launcher.compare({ a: ofA!, b: ofB!, metrics }, { signal: interrupt.signal });
    if (options.json) printJson({ a: ofA, b: ofB, differs, ...compared });
    else print(comparisonLines(a!, b!, compared, differs, paintFor(process.stdout)));
    return 0;
  } finally {
    progress.end();
    interrupt.dispose();
  }
}

/** RUN for its answer, or RUN/METHOD. */
async function sideOf(given: string, runsFolder: string) {
  const { run, trial: method } = await findTrial(given, runsFolder);
  return readSide(run, method);
}
