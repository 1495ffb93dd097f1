/** Reads the losses of trials, thinned so that a page can draw them. */
import { createReadStream } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Stage } from "../experiment/records.js";
import { files } from "./layout.js";

export interface LossCurve {
  trial: string;
  method: string;
  stage: Stage;
  /** Steps that the stage has in all. */
  steps: number;
  points: { step: number; loss: number }[];
}

/** A curve has at most this many points; each is the mean of equally many steps. */
const mostPoints = 300;

/** The curves of a trial, one a stage that has losses. A loss that is not finite is left out. */
export async function readCurves(directory: string, trial: string, method: string): Promise<LossCurve[]> {
  const stages = new Map<Stage, LossCurve>();
  const input = createReadStream(path.join(directory, files.trialEvents(trial)));
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  try {
    for await (const line of lines) {
      const step = parseStep(line);
      if (step === undefined) continue;
      const curve = stages.get(step.stage) ?? { trial, method, stage: step.stage, steps: step.steps, points: [] };
      // A trial that is run again begins at its first step.
      if (curve.points.length > 0 && step.step <= curve.points.at(-1)!.step) curve.points = [];
      curve.points.push({ step: step.step, loss: step.loss });
      stages.set(step.stage, curve);
    }
  } catch (error) {
    // A trial that has not begun has no events.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return [...stages.values()].map((curve) => ({ ...curve, points: thin(curve.points) }));
}

/** Means over equal stretches of steps; the last may be shorter. */
export function thin(points: LossCurve["points"], most = mostPoints): LossCurve["points"] {
  if (points.length <= most) return points;
  const stretch = Math.ceil(points.length / most);
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, index) => {
    const part = points.slice(index * stretch, (index + 1) * stretch);
    const mean = part.reduce((sum, point) => sum + point.loss, 0) / part.length;
    return { step: part.at(-1)!.step, loss: mean };
  });
}

interface Step {
  stage: Stage;
  step: number;
  steps: number;
  loss: number;
}

/** A line of a trial's events; undefined for one that is torn or has no loss. */
function parseStep(line: string): Step | undefined {
  try {
    const event = JSON.parse(line) as Partial<Step> & { type?: string };
    const isStep = event.type === "step" && typeof event.step === "number" && typeof event.loss === "number";
    return isStep ? (event as Step) : undefined;
  } catch {
    return undefined;
  }
}
