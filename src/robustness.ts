/** Robustness of a finished run: what a program calls. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "./errors.js";
import { type Measured, type Perturbation, perturbations, type Robustness } from "./experiment/records.js";
import { type InProcessOptions, launchInProcess } from "./launch/in-process.js";
import type { RobustnessRequest } from "./launch/launcher.js";
import { files } from "./runs/layout.js";
import { readPlan } from "./runs/read.js";

export interface RobustnessSettings {
  /** What is perturbed; default: everything. */
  perturbations?: readonly Perturbation[];
  /** The shares that are perturbed, above 0 and up to 1; default: 0.05, 0.1, 0.15, 0.2. */
  ratios?: readonly number[];
  /** Evaluation rows a task at most, drawn once for all methods; default: all. */
  rows?: number;
}

export interface RobustnessOptions extends RobustnessSettings, Pick<InProcessOptions, "onProgress" | "onWarning"> {
  onMeasured?: (measured: Measured) => void;
  /** Stops after the evaluation in hand; finished trials are kept. */
  signal?: AbortSignal;
}

/**
 * The robustness card of a run: its fitted models under noise, every method under the same. What was measured before at the same
 * ratios and rows is not measured again. The card is written into the run's directory, and its report is drawn anew.
 *
 * @throws EspalierError ("input") where a setting is wrong, or no trial of the run is finished
 */
export async function robustness(directory: string, options: RobustnessOptions = {}): Promise<Robustness> {
  const { onMeasured, signal, onProgress, onWarning } = options;
  const request = requestOf(options);
  const plan = await readPlan(directory);
  const whole = path.resolve(directory);
  await using launcher = await launchInProcess({
    uses: plan,
    directory: whole,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onWarning === undefined ? {} : { onWarning }),
    ...(signal === undefined ? {} : { signal }),
  });
  const card = await launcher.robustness(whole, request, {
    ...(onMeasured === undefined ? {} : { onMeasured }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (await exists(path.join(whole, files.report))) {
    const { writeReport } = await import("./report/html/write.js");
    await writeReport(whole);
  }
  return card;
}

/** @throws EspalierError ("input") naming the setting at fault */
function requestOf(settings: RobustnessSettings): RobustnessRequest {
  const { ratios = [0.05, 0.1, 0.15, 0.2], rows } = settings;
  const chosen = settings.perturbations ?? perturbations;
  const unknown = chosen.find((name) => !perturbations.includes(name));
  if (unknown !== undefined || chosen.length === 0) {
    throw wrong("perturbations", chosen.join(","), `Name some of: ${perturbations.join(", ")}.`);
  }
  const isRatio = (ratio: number) => ratio > 0 && ratio <= 1;
  if (ratios.length === 0 || !ratios.every(isRatio) || new Set(ratios).size < ratios.length) {
    throw wrong("ratios", ratios.join(","), "Give each ratio once, above 0 and up to 1 (100 %); 0 is always measured.");
  }
  if (rows !== undefined && !(Number.isInteger(rows) && rows >= 1)) {
    throw wrong("rows", rows, "Give a whole number of at least 1, or leave it out for all rows.");
  }
  return { perturbations: [...new Set(chosen)], ratios, rows: rows ?? null };
}

function wrong(field: string, value: unknown, mend: string): EspalierError {
  return new EspalierError(`robustness: ${field}: ${JSON.stringify(value)} is not allowed`, { code: "input", mend });
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
