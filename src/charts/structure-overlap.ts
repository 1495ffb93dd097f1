/** How much the structures of two seeds have in common. */
import * as Plot from "@observablehq/plot";
import type { Structure } from "../experiment/records.js";
import { compareStructures } from "../runs/structure-comparison.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { textWidth } from "./labels.js";
import { probability } from "./numbers.js";
import { accent, background, ink } from "./palette.js";

export interface PairOverlap {
  a: string;
  b: string;
  /** Parameters that both chose, of those that either chose; 1 where neither chose any. */
  share: number;
}

/** The overlap of every two of the named structures, each with itself too. */
export function overlaps(structures: Readonly<Record<string, Structure>>): PairOverlap[] {
  const entries = Object.entries(structures);
  return entries.flatMap(([a, first]) =>
    entries.map(([b, second]) => ({ a, b, share: compareStructures(first, second).parameters.jaccard })),
  );
}

/** A square a pair, as full as the share they have in common. */
export function structureOverlap(pairs: readonly PairOverlap[], options: FigureOptions = {}): SVGSVGElement {
  const name = "what the structures of two trials have in common";
  const names = [...new Set(pairs.map((pair) => pair.a))];
  if (names.length < 2) return emptyFigure(name, "Only one structure was found: there is nothing to compare.", options);
  const { width = defaultWidth } = options;
  const margin = 10 + Math.max(...names.map((entry) => textWidth(entry)));
  const side = Math.min(56, (width - margin - 10) / names.length);
  const others = pairs.filter((pair) => pair.a !== pair.b);
  const mean = others.reduce((sum, pair) => sum + pair.share, 0) / others.length;
  const slanted = Math.max(...names.map((entry) => textWidth(entry))) > side;
  const marginBottom = slanted ? 14 + 0.75 * (margin - 10) : 28;
  return drawFigure(
    {
      name,
      says: `Of the parameters that either of two trials chose, both chose ${(100 * mean).toFixed(0)}% on average.`,
      height: 8 + names.length * side + marginBottom,
      marginTop: 8,
      marginBottom,
      marginLeft: margin,
      marginRight: Math.max(10, width - margin - names.length * side),
      x: { type: "band", domain: names, padding: 0.04, label: null },
      y: { type: "band", domain: names, padding: 0.04, label: null },
      marks: [
        Plot.axisX({ tickSize: 0, tickRotate: slanted ? -45 : 0 }),
        Plot.axisY({ tickSize: 0 }),
        Plot.cell(pairs as PairOverlap[], {
          x: "b",
          y: "a",
          fill: accent,
          fillOpacity: (pair: PairOverlap) => pair.share,
          rx: 2,
          title: (pair: PairOverlap) => `${pair.a} and ${pair.b}: ${(100 * pair.share).toFixed(0)}% in common`,
        }),
        Plot.text(pairs as PairOverlap[], {
          x: "b",
          y: "a",
          text: (pair: PairOverlap) => (side < 24 ? "" : pair.share === 1 ? "1" : probability(pair.share)),
          fill: (pair: PairOverlap) => (pair.share > 0.74 ? background : ink),
          pointerEvents: "none",
        }),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    },
    options,
  );
}
