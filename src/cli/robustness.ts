/** espalier robustness: how the fitted models of a run stand up to noise. */
import type { Perturbation } from "../experiment/records.js";
import { paintFor } from "../report/paint.js";
import { robustnessLegend, robustnessTables } from "../report/robustness-tables.js";
import { robustness } from "../robustness.js";
import { findRun } from "../runs/read.js";
import { onInterrupt } from "./interrupt.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export interface RobustnessCommandOptions extends CommonOptions {
  runs: string;
  /** Names, comma-separated. */
  noise?: string;
  /** Percents, comma-separated. */
  ratios?: string;
  rows?: number;
}

export async function robustnessCommand(given: string, options: RobustnessCommandOptions): Promise<number> {
  const directory = await findRun(given, options.runs);
  const progress = progressFor(options);
  const interrupt = onInterrupt(progress);
  try {
    const card = await robustness(directory, {
      ...(options.noise === undefined ? {} : { perturbations: listed(options.noise) as Perturbation[] }),
      ...(options.ratios === undefined
        ? {}
        : {
            ratios: listed(options.ratios)
              .map(toRatio)
              .filter((ratio) => ratio !== 0),
          }),
      ...(options.rows === undefined ? {} : { rows: options.rows }),
      onProgress: (line, done) => progress.setUp(line, done),
      onWarning: (message) => progress.note(`note: ${message}`),
      onMeasured: ({ trial, done }) => progress.setUp(trial, done),
      signal: interrupt.signal,
    });
    progress.end();
    if (options.json) printJson(card);
    else print([...robustnessTables(card, paintFor(process.stdout)), robustnessLegend(card)].join("\n\n"));
    return 0;
  } finally {
    progress.end();
    interrupt.dispose();
  }
}

function listed(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

/** "15" and "15%" are 0.15; 0 is always measured, and need not be asked for. */
function toRatio(percent: string): number {
  return Number(percent.replace(/%$/, "") || Number.NaN) / 100;
}
