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

/**
 * A map of `cells`, as `chosenCells` and `gateCells` make them. Where the columns are too many to stand in one row, those of
 * which nothing is used are left out, and the others stand in several.
 */
export function structureMap(cells: readonly StructureCell[], options: StructureMapOptions = {}): SVGSVGElement {
  const { name = "structure map", width = defaultWidth } = options;
  if (cells.length === 0) return emptyFigure(name, "The space has no place to attach an adapter.", options);
  const most = Math.floor((width - 60) / narrowest);
  const offered = columnsOf(cells);
  const used = new Set(cells.filter((cell) => cell.strength > 0).map(columnOf));
  const columns = offered.length <= most || used.size === 0 ? offered : offered.filter((key) => used.has(key));
  const shown = cells.filter((cell) => columns.includes(columnOf(cell)));
  const layers = Math.max(...cells.map((cell) => cell.layer)) + 1;
  const several = new Set(cells.map((cell) => cell.kind)).size > 1;
  const label = (key: string) => {
    const [kind, slot] = key.split("/") as [string, string];
    return several ? `${slotLabel(slot)} ${kind}` : slotLabel(slot);
  };
  const panels = Math.ceil(columns.length / most);
  const inRow = Math.ceil(columns.length / panels);
  const room = (width - 60) / inRow;
  const widest = Math.max(...columns.map((key) => textWidth(label(key))));
  const slanted = panels > 1 || widest > room - 4;
  const row = layers <= 12 ? 26 : layers <= 24 ? 20 : 16;
  const bottom = panels > 1 ? 8 + widest : slanted ? 16 + 0.75 * widest : 26;
  const levels = Array.from({ length: layers }, (_, index) => layers - 1 - index);
  // Below the layers of a panel there is room for its labels.
  const blank = panels === 1 ? [] : Array.from({ length: Math.ceil(bottom / row) }, (_, index) => -1 - index);
  const index = (cell: StructureCell) => columns.indexOf(columnOf(cell));
  const place = {
    x: (cell: StructureCell) => (panels === 1 ? columnOf(cell) : index(cell) % inRow),
    y: "layer" as const,
    ...(panels === 1 ? {} : { fy: (cell: StructureCell) => Math.floor(index(cell) / inRow) }),
  };
  const labels =
    panels === 1
      ? Plot.axisX({ tickSize: 0, tickFormat: label, tickRotate: slanted ? -45 : 0 })
      : Plot.text(columns, {
          x: (_, at) => at % inRow,
          fy: (_, at) => Math.floor(at / inRow),
          y: () => -1,
          text: label,
          rotate: -90,
          textAnchor: "end",
          fill: "currentColor",
        });
  const count = cells.filter((cell) => cell.strength > 0).length;
  const left = offered.length - columns.length;
  return drawFigure(
    {
      name,
      says: `${layers} layers and ${columns.length} columns (${columns.map(label).join(", ")}); ${count} of ${cells.length} places are used.${left > 0 ? ` ${left} columns of which nothing is used are left out.` : ""}`,
      height: panels === 1 ? layers * row + 8 + bottom : panels * (layers + blank.length) * row + 8,
      marginLeft: 48,
      marginRight: 8,
      marginTop: 8,
      marginBottom: panels === 1 ? bottom : 0,
      x: {
        type: "band",
        domain: panels === 1 ? columns : [...columns.slice(0, inRow).keys()],
        padding: 0.06,
        label: null,
        ...(panels > 1 && { axis: null }),
      },
      y: { type: "band", domain: [...levels, ...blank], padding: 0.08 },
      ...(panels > 1 && { fy: { axis: null, padding: 0 } }),
      marks: [
        labels,
        Plot.axisY({ tickSize: 0, label: "layer", labelArrow: "none", ...ticksOf(levels, panels) }),
        Plot.cell(shown, { ...place, fill: "none", stroke: grid, rx: 2 }),
        Plot.cell(shown, { ...place, fill: accent, fillOpacity: fillOpacity, rx: 2, title: "title" }),
        Plot.text(shown, {
          ...place,
          text: (cell: StructureCell) => (room < 22 ? "" : cell.text),
          fill: (cell: StructureCell) => (fillOpacity(cell) > readable ? background : ink),
          fontSize: row < 20 ? 10 : 12,
          pointerEvents: "none",
        }),
        Plot.text(
          shown.filter((cell) => cell.strength === 0),
          { ...place, text: () => "\u00b7", fill: dim, pointerEvents: "none" },
        ),
      ],
      color: { type: "identity" },
      opacity: { type: "identity" },
    },
    options,
  );
}

/** A column that is narrower has no room for its number and its label, in pixels. */
const narrowest = 24;

function columnOf(cell: StructureCell): string {
  return `${cell.kind}/${cell.slot}`;
}

/** Every kind's slots, in the order of the data through a layer. */
function columnsOf(cells: readonly StructureCell[]): string[] {
  const kinds = [...new Set(cells.map((cell) => cell.kind))];
  const slots = [...new Set(cells.map((cell) => cell.slot))].sort(compareSlots);
  const present = new Set(cells.map(columnOf));
  return kinds.flatMap((kind) => slots.map((slot) => `${kind}/${slot}`)).filter((key) => present.has(key));
}

/** Above this opacity the background's colour reads better on the accent than ink does, in light and in dark. */
const readable = 0.74;

/** The smallest size that is chosen must be told from none at a glance. */
function fillOpacity({ strength }: StructureCell): number {
  return strength === 0 ? 0 : 0.18 + 0.82 * strength;
}

/** Where layers are many, every fourth is named; the rows for labels never are. */
function ticksOf(levels: readonly number[], panels: number): { ticks?: number[] } {
  if (levels.length > 16) return { ticks: levels.filter((level) => level % 4 === 0).reverse() };
  return panels > 1 ? { ticks: [...levels] } : {};
}
