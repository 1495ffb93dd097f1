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
  const row = layers <= 12 ? 26 : layers <= 24 ? 20 : 16;
  const levels = Array.from({ length: layers }, (_, index) => layers - 1 - index);
  const { labels, place, room, ...laid } = (columns.length <= most ? inOneRow : inSeveralRows)({
    columns,
    levels,
    label,
    width: width - 60,
    most,
    row,
  });
  const count = cells.filter((cell) => cell.strength > 0).length;
  const left = offered.length - columns.length;
  return drawFigure(
    {
      name,
      says: `${layers} layers and ${columns.length} columns (${columns.map(label).join(", ")}); ${count} of ${cells.length} places are used.${left > 0 ? ` ${left} columns of which nothing is used are left out.` : ""}`,
      marginLeft: 48,
      marginRight: 8,
      marginTop: 8,
      ...laid,
      marks: [
        labels,
        Plot.axisY({ tickSize: 0, label: "layer", labelArrow: "none", ...ticksOf(levels, columns.length > most) }),
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

/** What is laid out, in `width` pixels with at most `most` columns beside each other; `row`: the height of a layer. */
interface Given {
  columns: readonly string[];
  levels: readonly number[];
  label: (column: string) => string;
  width: number;
  most: number;
  row: number;
}

function inOneRow({ columns, levels, label, width, row }: Given) {
  const room = width / columns.length;
  const widest = widestOf(columns, label);
  const slanted = widest > room - 4;
  const marginBottom = slanted ? 16 + 0.75 * widest : 26;
  return {
    labels: Plot.axisX({ tickSize: 0, tickFormat: label, tickRotate: slanted ? -45 : 0 }),
    place: { x: columnOf, y: "layer" as const },
    room,
    height: levels.length * row + 8 + marginBottom,
    marginBottom,
    x: { type: "band" as const, domain: columns, padding: 0.06, label: null },
    y: { type: "band" as const, domain: levels, padding: 0.08 },
  };
}

/** A panel a row, with blank levels below its layers as room for the labels of its columns. */
function inSeveralRows({ columns, levels, label, width, most, row }: Given) {
  const panels = Math.ceil(columns.length / most);
  const inRow = Math.ceil(columns.length / panels);
  const blank = Array.from({ length: Math.ceil((8 + widestOf(columns, label)) / row) }, (_, index) => -1 - index);
  const at = new Map(columns.map((column, index) => [column, { x: index % inRow, panel: Math.floor(index / inRow) }]));
  return {
    labels: Plot.text(columns, {
      x: (column: string) => at.get(column)!.x,
      fy: (column: string) => at.get(column)!.panel,
      y: () => -1,
      text: label,
      rotate: -90,
      textAnchor: "end",
      fill: "currentColor",
    }),
    place: {
      x: (cell: StructureCell) => at.get(columnOf(cell))!.x,
      fy: (cell: StructureCell) => at.get(columnOf(cell))!.panel,
      y: "layer" as const,
    },
    room: width / inRow,
    height: panels * (levels.length + blank.length) * row + 8,
    marginBottom: 0,
    x: { type: "band" as const, domain: [...columns.slice(0, inRow).keys()], padding: 0.06, label: null, axis: null },
    y: { type: "band" as const, domain: [...levels, ...blank], padding: 0.08 },
    fy: { axis: null, padding: 0 },
  };
}

function widestOf(columns: readonly string[], label: (column: string) => string): number {
  return Math.max(...columns.map((column) => textWidth(label(column))));
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
function ticksOf(levels: readonly number[], areRowsBlank: boolean): { ticks?: number[] } {
  if (levels.length > 16) return { ticks: levels.filter((level) => level % 4 === 0).reverse() };
  return areRowsBlank ? { ticks: [...levels] } : {};
}
