/** What heads that mix layers read: each layer's share, a row a task. */
import * as Plot from "@observablehq/plot";
import { layerName } from "../runs/layer-shares.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { textWidth } from "./labels.js";
import { accent, background, dim, ink } from "./palette.js";

/** @param shares by task, the embeddings first; the shares of a task sum to 1 */
export function layerShares(
  shares: Readonly<Record<string, readonly number[]>>,
  options: FigureOptions = {},
): SVGSVGElement {
  const name = "what the heads read of each layer";
  const tasks = Object.keys(shares);
  if (tasks.length === 0) return emptyFigure(name, "The heads read the last layer alone.", options);
  const { width = defaultWidth } = options;
  const cells = tasks.flatMap((task) =>
    shares[task]!.map((share, index) => ({ task, layer: layerName(index), share })),
  );
  const most = Math.max(...cells.map((cell) => cell.share));
  const layers = [...new Set(cells.map((cell) => cell.layer))];
  const margin = 10 + Math.max(...tasks.map((task) => textWidth(task)));
  const side = Math.min(56, (width - margin - 10) / layers.length);
  type Cell = (typeof cells)[number];
  const peaks = tasks.map((task) => {
    const top = Math.max(...shares[task]!);
    return `${task} reads most of ${layerName(shares[task]!.indexOf(top))}, ${(100 * top).toFixed(0)}%`;
  });
  return drawFigure(
    {
      name,
      says: `${peaks.join("; ")}.`,
      height: 8 + tasks.length * 32 + 40,
      marginTop: 8,
      marginBottom: 40,
      marginLeft: margin,
      marginRight: Math.max(10, width - margin - layers.length * side),
      x: { type: "band", domain: layers, padding: 0.04, label: null },
      y: { type: "band", domain: tasks, padding: 0.06, label: null },
      marks: [
        Plot.axisX({
          tickSize: 0,
          label: "layer (emb: the embeddings)",
          labelAnchor: "center",
          labelArrow: "none",
          fill: dim,
        }),
        Plot.axisY({ tickSize: 0 }),
        Plot.cell(cells, {
          x: "layer",
          y: "task",
          fill: accent,
          fillOpacity: (cell: Cell) => cell.share / most,
          rx: 2,
          title: (cell: Cell) => `${cell.task}, ${cell.layer}: ${(100 * cell.share).toFixed(1)}%`,
        }),
        Plot.text(cells, {
          x: "layer",
          y: "task",
          text: (cell: Cell) => (side < 24 ? "" : (100 * cell.share).toFixed(0)),
          fill: (cell: Cell) => (cell.share / most > 0.74 ? background : ink),
          pointerEvents: "none",
        }),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    },
    options,
  );
}
