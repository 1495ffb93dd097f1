/** From a robustness card to its figures. */
import type { Robustness } from "../experiment/records.js";
import { points as inPoints, toNumber } from "../report/numbers.js";
import type { RobustnessPoint } from "./robustness-curves.js";

/** What `robustnessCurves` draws for one task and perturbation. */
export interface RobustnessFigure {
  task: string;
  /** Such as "input noise". */
  perturbation: string;
  metric: string;
  /** The areas under the curves, in a sentence. */
  areas: string;
  points: RobustnessPoint[];
}

/** One figure for each task and perturbation, in the card's order. */
export function robustnessFigures({ curves }: Robustness): RobustnessFigure[] {
  const figures: RobustnessFigure[] = [];
  for (const { task, perturbation, metric, method, area, areaCi95, points } of curves) {
    const name = `${perturbation} noise`;
    let figure = figures.find((entry) => entry.task === task && entry.perturbation === name);
    if (figure === undefined) {
      figure = { task, perturbation: name, metric, areas: "Mean score over the range:", points: [] };
      figures.push(figure);
    } else figure.areas += ",";
    const interval = areaCi95 === null ? "" : ` (${inPoints(areaCi95[0])} to ${inPoints(areaCi95[1])})`;
    figure.areas += ` ${method} ${inPoints(area)}${interval}`;
    figure.points.push(
      ...points.map(({ ratio, mean, ci95 }) => ({
        method,
        ratio,
        score: toNumber(mean),
        low: ci95 === null ? undefined : toNumber(ci95[0]),
        high: ci95 === null ? undefined : toNumber(ci95[1]),
      })),
    );
  }
  return figures;
}
