/** Where the time of one seed goes: a bar a method for each stage, all on one scale. */
import * as Plot from "@observablehq/plot";
import type { ResultRow } from "../experiment/records.js";
import { duration } from "../report/numbers.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { textWidth } from "./labels.js";
import { accent, dim } from "./palette.js";

const stages = ["search", "fit", "evaluate"] as const;

/** Rows of one task suffice: a method's time is the same in all of them. */
export function secondsByStage(rows: readonly ResultRow[], options: FigureOptions = {}): SVGSVGElement {
  const name = "seconds of one seed, by stage";
  const own = rows.filter((row) => row.task === rows[0]!.task && row.mean !== null);
  if (own.length === 0) return emptyFigure(name, "No trial has ended yet.", options);
  const { width = defaultWidth } = options;
  const methods = own.map((row) => row.method);
  const bars = own.flatMap((row) =>
    stages.map((stage) => ({ method: row.method, stage, seconds: row.seconds[stage], isAnswer: row === own[0] })),
  );
  const most = Math.max(...bars.map((bar) => bar.seconds)) || 1;
  const marginLeft = 12 + Math.max(...methods.map((method) => textWidth(method)));
  // Beside the longest bar its label still needs room.
  const panel = (width - marginLeft - 10) / stages.length;
  const label = Math.max(...bars.map((bar) => textWidth(duration(bar.seconds)))) + 8;
  const domain = [0, (most * panel) / Math.max(20, 0.92 * panel - label)];
  return drawFigure(
    {
      name,
      says: own
        .map((row) => `${row.method}: ${stages.map((stage) => `${stage} ${duration(row.seconds[stage])}`).join(", ")}`)
        .join("; "),
      height: 26 * methods.length + 34,
      marginTop: 26,
      marginBottom: 8,
      marginLeft,
      marginRight: 10,
      fx: { domain: [...stages], padding: 0.06, label: null },
      x: { domain, axis: null },
      y: { type: "band", domain: methods, padding: 0.25 },
      marks: [
        Plot.axisFx({ anchor: "top", fontWeight: 600 }),
        Plot.axisY({ tickSize: 0, label: null }),
        Plot.ruleX([0], { stroke: dim }),
        Plot.barX(bars, {
          fx: "stage",
          y: "method",
          x: "seconds",
          fill: (bar) => (bar.isAnswer ? accent : dim),
          fillOpacity: (bar) => (bar.isAnswer ? 1 : 0.7),
        }),
        Plot.text(bars, {
          fx: "stage",
          y: "method",
          x: "seconds",
          text: (bar) => duration(bar.seconds),
          textAnchor: "start",
          dx: 4,
        }),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    },
    options,
  );
}
