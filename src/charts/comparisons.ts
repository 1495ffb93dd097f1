/** The answer against its rivals: the difference of scores with its interval, and the verdict in words. */
import * as Plot from "@observablehq/plot";
import type { Comparison } from "../experiment/records.js";
import { signedPoints } from "../report/numbers.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { textWidth } from "./labels.js";
import { finite } from "./numbers.js";
import { accent, dim, grid, ink, worse } from "./palette.js";

interface Effect {
  rival: string;
  difference: number;
  low: number;
  high: number;
  verdict: Comparison["verdict"];
  label: string;
  title: string;
}

/** One line a rival, for the task `task`; default: that of the first comparison. */
export function comparisonEffects(
  comparisons: readonly Comparison[],
  options: FigureOptions & { task?: string } = {},
): SVGSVGElement {
  const { task = comparisons[0]?.task ?? "", width = defaultWidth } = options;
  const own = comparisons.filter((entry) => entry.task === task);
  const name = `${own[0]?.a ?? "the answer"} against its rivals on ${task}`;
  const effects = own.flatMap(effectOf);
  if (effects.length === 0) return emptyFigure(name, "There is no comparison yet.", options);
  const reach = 1.1 * Math.max(0.001, ...effects.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)]));
  const widest = (texts: string[]) => Math.max(...texts.map((text) => textWidth(text)));
  return drawFigure(
    {
      name,
      says: effects.map((effect) => effect.title).join("; "),
      height: 30 * effects.length + 62,
      marginTop: 20,
      marginBottom: 42,
      marginLeft: 14 + widest(effects.map((effect) => effect.rival)),
      marginRight: 14 + widest(effects.map((effect) => effect.label)),
      x: { domain: [-reach, reach], label: `${own[0]!.a} less rival, points` },
      y: { type: "point", domain: effects.map((effect) => effect.rival), padding: 0.5 },
      marks: [
        Plot.gridX({ stroke: grid, strokeOpacity: 1, ticks: Math.min(5, width / 120) }),
        Plot.axisX({
          ticks: Math.min(5, width / 120),
          // Ticks less than a tenth of a point apart must not read alike.
          tickFormat: (value: number) => signedPoints(value, reach < 0.004 ? 2 : 1),
          labelAnchor: "center",
          labelArrow: "none",
          fill: dim,
        }),
        Plot.axisY({ tickSize: 0, label: null }),
        Plot.ruleX([0], { stroke: ink }),
        Plot.ruleY(effects, { y: "rival", x1: "low", x2: "high", stroke: colour, strokeWidth: 2 }),
        Plot.dot(effects, { y: "rival", x: "difference", r: 4.5, fill: colour, title: "title" }),
        Plot.text(effects, {
          y: "rival",
          text: "label",
          frameAnchor: "right",
          textAnchor: "start",
          dx: 10,
          fill: colour,
        }),
      ],
      color: { type: "identity" },
    },
    options,
  );
}

function effectOf({ b, difference, ci95, verdict, pAdjusted }: Comparison): Effect[] {
  const [middle, low, high] = [finite(difference), finite(ci95[0]), finite(ci95[1])];
  if (middle === undefined || low === undefined || high === undefined) return [];
  const signed = signedPoints(middle);
  const label = verdict === "cannot be told apart" ? `no difference (${signed})` : `${verdict} by ${signed.slice(1)}`;
  const interval = `${signedPoints(low)} to ${signedPoints(high)}`;
  return [
    {
      rival: b,
      difference: middle,
      low,
      high,
      verdict,
      label,
      title: `${b}: ${verdict}, ${signed} points (${interval}), adjusted p ${pAdjusted.toPrecision(2)}`,
    },
  ];
}

function colour({ verdict }: Effect): string {
  return { better: accent, worse, "cannot be told apart": dim }[verdict];
}
