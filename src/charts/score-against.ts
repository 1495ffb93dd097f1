/** Score against what it costs, in parameters or in step time: intervals over seeds, and the frontier through the best. */
import * as Plot from "@observablehq/plot";
import type { ResultRow } from "../experiment/records.js";
import { points as inPoints, short } from "../report/numbers.js";
import { defaultWidth, drawFigure, emptyFigure, type FigureOptions } from "./figure.js";
import { frontier } from "./frontier.js";
import { spread, textWidth } from "./labels.js";
import { finite, shortTick } from "./numbers.js";
import { accent, background, dim, ink } from "./palette.js";
import { scoreAxis, scoreScale } from "./score-axis.js";

export interface ScoreAgainstOptions extends FigureOptions {
  /** "parameters" by default: those that the task uses. "stepMs": measured time of one fit step. */
  by?: "parameters" | "stepMs";
  /** The task whose rows are shown; default: that of the first row. */
  task?: string;
}

interface Point {
  method: string;
  isAnswer: boolean;
  cost: number;
  score: number;
  low: number;
  high: number;
  title: string;
}

/** From this ratio of the most parameters to the fewest on, their axis is logarithmic: all but the most would stand at its foot. */
const wide = 20;

/** Pixels that a dot may stand beside its cost. */
const aside = 24;

/** Pixels between two labels, one below the other. */
const lineHeight = 15;

/**
 * One dot a method; the first method is the answer. Dots of equal cost stand side by side, never far from their cost. The figure is as
 * high as its labels need.
 */
export function scoreAgainst(rows: readonly ResultRow[], options: ScoreAgainstOptions = {}): SVGSVGElement {
  const { by = "parameters", task = rows[0]?.task ?? "", width = defaultWidth } = options;
  const measured = by === "parameters" ? "parameters the task uses" : "time of a fit step (ms)";
  const name = `score on ${task} against ${by === "parameters" ? "parameters" : "step time"}`;
  const own = rows.filter((row) => row.task === task);
  const shown = own.flatMap((row, index) => pointOf(row, by, index === 0));
  if (shown.length === 0) return emptyFigure(name, "No method has a score and a cost yet.", options);
  const margins = { marginTop: 24, marginBottom: 36, marginLeft: 44, marginRight: 20 };
  const height = Math.max(300, margins.marginTop + margins.marginBottom + lineHeight * shown.length);
  const labels = Math.max(...shown.map((point) => textWidth(point.method, "bold")));
  const costs = shown.map((point) => point.cost);
  const most = Math.max(...costs) || 1;
  const least = Math.min(...costs.filter((cost) => cost > 0), most);
  const isWide = by === "parameters" && most / least >= wide;
  const hasNone = costs.includes(0);
  const x = {
    // A method that adapts nothing has its place on a logarithmic axis, too.
    type: !isWide ? ("linear" as const) : hasNone ? ("symlog" as const) : ("log" as const),
    ...(hasNone && { constant: least }),
    domain: [isWide && !hasNone ? least : 0, most],
    range: [margins.marginLeft + 10, width - margins.marginRight - labels - 18],
  };
  const decades = Array.from({ length: 12 }, (_, power) => 10 ** power).filter((tick) => tick >= least && tick <= most);
  const scores = shown.flatMap((point) => [point.low, point.high]);
  const y = scoreScale(scores, height - margins.marginBottom, margins.marginTop);
  const placed = place(shown, Plot.scale({ x }), Plot.scale({ y }));
  const best = frontier(placed);
  return drawFigure(
    {
      name,
      says: `${shown.map((point) => point.title).join("; ")}. On the frontier: ${best.map((point) => point.method).join(", ")}.`,
      height,
      ...margins,
      x: { ...x, label: isWide ? `${measured}, logarithmic` : measured },
      y,
      marks: [
        ...scoreAxis(`${own[0]!.metric} x 100, ${own[0]!.split}`),
        Plot.axisX({
          ticks: isWide && hasNone ? [0, ...decades] : Math.min(5, width / 100),
          tickFormat: by === "parameters" ? shortTick : (value: number) => String(value),
          labelAnchor: "center",
          labelArrow: "none",
          fill: dim,
        }),
        Plot.line(best, { x: "x", y: "score", curve: "step-after", stroke: dim, strokeDasharray: "2 3" }),
        Plot.text(best.length < 2 ? [] : [best[0]!], {
          x: best.length < 2 ? 0 : (best[0]!.x + best[1]!.x) / 2,
          y: "score",
          text: () => "frontier",
          dy: 9,
          fontStyle: "italic",
          fill: dim,
        }),
        Plot.ruleX(placed, { x: "x", y1: "low", y2: "high", stroke: colour, strokeWidth: 1.5 }),
        Plot.link(
          placed.filter((point) => point.moved),
          { x1: "x", y1: "score", x2: "labelX", y2: "labelY", stroke: dim, strokeOpacity: 0.5, strokeWidth: 1 },
        ),
        Plot.dot(placed, { x: "x", y: "score", r: 4.5, fill: colour, title: "title" }),
        ...[true, false].map((isAnswer) =>
          Plot.text(
            placed.filter((point) => point.isAnswer === isAnswer),
            {
              ...{ x: "labelX", y: "labelY", text: "method", textAnchor: "start", dx: 3 },
              ...{ fill: isAnswer ? accent : ink, fontWeight: isAnswer ? 600 : 400 },
              ...{ stroke: background, strokeWidth: 4 },
            },
          ),
        ),
      ],
      color: { type: "identity" },
    },
    options,
  );
}

function colour(point: Point): string {
  return point.isAnswer ? accent : dim;
}

function pointOf(row: ResultRow, by: "parameters" | "stepMs", isAnswer: boolean): Point[] {
  const score = finite(row.mean);
  const cost = by === "parameters" ? row.parameters.task : (row.stepMs.measured ?? undefined);
  if (score === undefined || cost === undefined) return [];
  const low = finite(row.ci95?.[0]) ?? score;
  const high = finite(row.ci95?.[1]) ?? score;
  const costs = by === "parameters" ? `${short(cost)} parameters` : `${cost.toFixed(0)} ms`;
  const interval = row.ci95 === null ? "" : ` (${inPoints(low)} to ${inPoints(high)})`;
  return [
    {
      method: row.method,
      isAnswer,
      cost,
      score,
      low,
      high,
      title: `${row.method}: ${inPoints(score)}${interval}, ${costs}`,
    },
  ];
}

/** Where dots and labels go: dots that would hide each other's interval move aside, labels of one column move apart. */
function place(points: readonly Point[], x: Plot.Scale, y: Plot.Scale) {
  const [low, high] = x.range as [number, number];
  const columns = besideEachOther(
    points.map((point) => x.apply(point.cost) as number),
    low,
    high,
  );
  const right = labelEdges(
    columns,
    points.map((point) => textWidth(point.method, "bold")),
  );
  const heights = points.map((point) => y.apply(point.score) as number);
  const rows = new Array<number>(points.length);
  for (const edge of new Set(right)) {
    const members = points.map((_, index) => index).filter((index) => right[index] === edge);
    const [bottom, top] = y.range as [number, number];
    const moved = spread(
      members.map((index) => heights[index]!),
      lineHeight,
      top,
      bottom,
    );
    for (const [at, index] of members.entries()) rows[index] = moved[at]!;
  }
  return points.map((point, index) => ({
    ...point,
    x: x.invert!(columns[index]!) as number,
    labelX: x.invert!(right[index]! + 9) as number,
    labelY: y.invert!(rows[index]!) as number,
    moved: Math.abs(rows[index]! - heights[index]!) > 5 || right[index]! - columns[index]! > 4,
  }));
}

/** The columns of dots, as far apart as each can be that stays near its own place. */
function besideEachOther(wanted: readonly number[], low: number, high: number): readonly number[] {
  for (const gap of [11, 8, 6, 4, 3, 2, 1]) {
    const columns = spread(wanted, gap, low, high);
    if (columns.every((column, index) => Math.abs(column - wanted[index]!) <= aside)) return columns;
  }
  return wanted;
}

/** Where each dot's label begins: dots that another's label would cover have theirs in one column, right of the last of them. */
function labelEdges(columns: readonly number[], widths: readonly number[]): number[] {
  const order = columns.map((_, index) => index).sort((a, b) => columns[a]! - columns[b]!);
  const edges = new Array<number>(columns.length);
  let group: number[] = [];
  for (const [at, index] of order.entries()) {
    group.push(index);
    const next = order[at + 1];
    const longest = Math.max(...group.map((member) => widths[member]!));
    if (next !== undefined && columns[next]! < columns[index]! + longest + 16) continue;
    for (const member of group) edges[member] = columns[index]!;
    group = [];
  }
  return edges;
}
