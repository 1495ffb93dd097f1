/** The budget being spent: what the gates would use over the steps of a search, against what they may. */
import * as Plot from "@observablehq/plot";
import { short } from "../report/numbers.js";
import type { Gates } from "../runs/gates.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { shortTick } from "./numbers.js";
import { dim, grid, ink } from "./palette.js";
import { seriesLine } from "./series.js";

export interface Spending {
  trial: string;
  points: { step: number; spent: number }[];
}

/**
 * sum_i c_i max_t p[t,i] at every snapshot of a search: the parameters that its gates are expected to use. Undefined where the
 * candidates' parameters were not recorded.
 */
export function spendingOf(trial: string, gates: Gates): Spending | undefined {
  const costs = gates.candidates.map((candidate) => candidate.parameters);
  if (costs.some((cost) => cost === null)) return undefined;
  const points = gates.steps.map((step, at) => ({
    step,
    spent: costs.reduce<number>(
      (sum, cost, index) => sum + cost! * Math.max(...gates.values[at]!.map((row) => row[index]!)),
      0,
    ),
  }));
  return { trial, points };
}

export interface BudgetSpentOptions extends FigureOptions {
  /** In parameters; undefined: no line is drawn for it. */
  budget?: number | undefined;
}

/** One line a search, and the budget as a line across. */
export function budgetSpent(spending: readonly Spending[], options: BudgetSpentOptions = {}): SVGSVGElement {
  const { budget, width = defaultWidth } = options;
  const name = "parameters that the gates spend";
  const shown = spending.filter((entry) => entry.points.length > 0);
  if (shown.length === 0) return emptyFigure(name, "No search has recorded what its gates spend.", options);
  const ends = shown.map((entry) => entry.points.at(-1)!);
  const limits = budget === undefined ? [] : [budget];
  const most = Math.max(...limits, ...shown.flatMap((entry) => entry.points.map((point) => point.spent)));
  return drawFigure(
    {
      name,
      says: `${limits.map((limit) => `The budget is ${short(limit)} parameters. `).join("")}The searches have come to ${ends.map((end) => short(end.spent)).join(", ")}.`,
      height: 220,
      marginTop: 24,
      marginBottom: 36,
      marginLeft: 52,
      marginRight: 16,
      x: { label: "search step", domain: [0, Math.max(...ends.map((end) => end.step), 1)] },
      y: { domain: [0, most * 1.05] },
      marks: [
        Plot.gridY({ stroke: grid, strokeOpacity: 1, ticks: 4 }),
        Plot.axisX({ ticks: Math.min(6, width / 90), labelAnchor: "center", labelArrow: "none", fill: dim }),
        Plot.axisY({ ticks: 4, tickFormat: shortTick, label: "expected parameters", labelArrow: "none" }),
        ...shown.map((entry) =>
          seriesLine(entry.points, 0, { x: "step", y: "spent", strokeOpacity: 0.7, title: () => entry.trial }),
        ),
        Plot.ruleY(limits, { stroke: ink, strokeDasharray: "6 3" }),
        Plot.text(limits, {
          y: (value) => value,
          text: (value) => `budget ${short(value)}`,
          frameAnchor: "right",
          textAnchor: "end",
          dy: -8,
          dx: -2,
          fill: ink,
          stroke: "var(--plot-background)",
          strokeWidth: 4,
        }),
      ],
    },
    options,
  );
}
