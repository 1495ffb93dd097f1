/** The structure map: layers from bottom to top, slots from left to right, a cell as full as what is chosen or open there. */
import * as Plot from "@observablehq/plot";
import { compareSlots, slotLabel } from "../report/slots.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { textWidth } from "./labels.js";
import { accent, background, dim, grid, ink } from "./palette.js";
import type { StructureCell } from "./structure-cells.js";

export interface StructureMapOptions extends FigureOptions {
  /** What the map shows, for its accessible name; default: "structure map". */
  name?: string;
}

/** A map of `cells`, as `chosenCells` and `gateCells` make them. */
export function structureMap(cells: readonly StructureCell[], options: StructureMapOptions = {}): SVGSVGElement {
  const { name = "structure map", width = defaultWidth } = options;
  if (cells.length === 0) return emptyFigure(name, "The space has no place to attach an adapter.", options);
  const kinds = [...new Set(cells.map((cell) => cell.kind))];
  const slots = [...new Set(cells.map((cell) => cell.slot))].sort(compareSlots);
  const column = (cell: StructureCell) => `${cell.kind}/${cell.slot}`;
  const present = new Set(cells.map(column));
  const columns = kinds.flatMap((kind) => slots.map((slot) => `${kind}/${slot}`)).filter((key) => present.has(key));
  const layers = Math.max(...cells.map((cell) => cell.layer)) + 1;
  const label = (key: string) => {
    const [kind, slot] = key.split("/") as [string, string];
    return kinds.length > 1 ? `${slotLabel(slot)} ${kind}` : slotLabel(slot);
  };
  const room = (width - 60) / columns.length;
  const widest = Math.max(...columns.map((key) => textWidth(label(key))));
  const slanted = widest > room - 4;
  const row = layers <= 12 ? 26 : layers <= 24 ? 20 : 16;
  const bottom = slanted ? 16 + 0.75 * widest : 26;
  const used = cells.filter((cell) => cell.strength > 0).length;
  const place = { x: column, y: "layer" as const };
  return drawFigure(
    {
      name,
      says: `${layers} layers and ${columns.length} columns (${columns.map(label).join(", ")}); ${used} of ${cells.length} places are used.`,
      height: layers * row + 8 + bottom,
      marginLeft: 48,
      marginRight: 8,
      marginTop: 8,
      marginBottom: bottom,
      x: { type: "band", domain: columns, padding: 0.06, label: null },
      y: { type: "band", domain: Array.from({ length: layers }, (_, index) => layers - 1 - index), padding: 0.08 },
      marks: [
        Plot.axisX({ tickSize: 0, tickFormat: label, tickRotate: slanted ? -45 : 0 }),
        Plot.axisY({ tickSize: 0, label: "layer", labelArrow: "none", ...everyNth(layers) }),
        Plot.cell(cells, { ...place, fill: "none", stroke: grid, rx: 2 }),
        Plot.cell(cells, { ...place, fill: accent, fillOpacity: fillOpacity, rx: 2, title: "title" }),
        Plot.text(cells, {
          ...place,
          text: (cell: StructureCell) => (room < 22 ? "" : cell.text),
          fill: (cell: StructureCell) => (fillOpacity(cell) > readable ? background : ink),
          fontSize: row < 20 ? 10 : 12,
          pointerEvents: "none",
        }),
        Plot.text(
          cells.filter((cell) => cell.strength === 0),
          { ...place, text: () => "\u00b7", fill: dim, pointerEvents: "none" },
        ),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    },
    options,
  );
}

/** Above this opacity the background's colour reads better on the accent than ink does, in light and in dark. */
const readable = 0.74;

/** The smallest size that is chosen must be told from none at a glance. */
function fillOpacity({ strength }: StructureCell): number {
  return strength === 0 ? 0 : 0.18 + 0.82 * strength;
}

/** Where layers are many, every fourth is named. */
function everyNth(layers: number): { ticks?: number[] } {
  if (layers <= 16) return {};
  return { ticks: Array.from({ length: Math.ceil(layers / 4) }, (_, index) => index * 4) };
}
