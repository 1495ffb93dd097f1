/**
 * How a search step's time and memory grow with tokens, rows, layers, candidates and tasks: measured by `scripts/scale.py`, drawn
 * here, a picture for each axis and measure, with its growth below it, and put in words and numbers in README.md beside them.
 *
 *     npx jiti scripts/scale.ts [--output docs/scale] [--quick]        (seven minutes)
 */
import { mkdir } from "node:fs/promises";
import { cpus } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import * as Plot from "@observablehq/plot";
import { execa } from "execa";
import { parseHTML } from "linkedom";
import { z } from "zod";
import { drawFigure } from "../src/charts/figure.js";
import { seriesColour } from "../src/charts/palette.js";
import { ensurePython } from "../src/provision/index.js";
import { toMarkdown } from "../src/report/tables/markdown.js";
import type { Table } from "../src/report/tables/results.js";
import { writeAtomic } from "../src/runs/layout.js";

const Measured = z.object({
  threads: z.number(),
  points: z.array(z.object({ axis: z.string(), value: z.number(), ms: z.number(), MiB: z.number() })),
});
type Point = z.infer<typeof Measured>["points"][number];

const root = path.resolve(import.meta.dirname, "..");
const { values } = parseArgs({
  options: { output: { type: "string", default: "docs/scale" }, quick: { type: "boolean", default: false } },
});
const { python } = await ensurePython({ extras: "runtime" });
const { stdout } = await execa(python, ["scripts/scale.py", ...(values.quick ? ["--quick"] : [])], {
  cwd: root,
  env: { PYTHONPATH: path.join(root, "python") },
  stderr: "inherit",
});
const { points, threads } = Measured.parse(JSON.parse(stdout));
const axes = [...new Set(points.map((point) => point.axis))];
const measures = ["ms", "MiB"] as const;
const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: Document };
await mkdir(values.output, { recursive: true });
for (const axis of axes) {
  for (const measure of measures) {
    await writeAtomic(path.join(values.output, picture(axis, measure)), `${draw(axis, measure).outerHTML}\n`);
  }
}
const page = [
  "# How a search step grows",
  `\`npx jiti scripts/scale.ts\` on ${cpus()[0]!.model}, ${new Date().toISOString().slice(0, 10)}, ${threads} thread${threads === 1 ? "" : "s"}.`,
  "A budgeted search on a random BERT of width 192. One thing grows at a time from 32 rows of 32 tokens, 6 layers, 144 candidates (ranks\n1 to 4 of every linear) and 1 task; a time is the median of five steps, memory the most that a step's tensors hold.",
  toMarkdown(axes.map(tableOf)),
  ...axes.map((axis) =>
    measures.map((measure) => `![${measure} against ${axis}](${picture(axis, measure)})`).join("\n"),
  ),
].join("\n\n");
await writeAtomic(path.join(values.output, "README.md"), `${page}\n`);
console.log(page);

function picture(axis: string, measure: string): string {
  return `${axis.replaceAll(" ", "-")}-${measure.toLowerCase()}.svg`;
}

function of(axis: string): Point[] {
  return points.filter((point) => point.axis === axis);
}

/** "x 32: ms x 12.1", from the first value to the last. */
function growth(axis: string, measure: "ms" | "MiB"): string {
  const own = of(axis);
  const [first, last] = [own[0]!, own.at(-1)!];
  return `x ${Math.round(last.value / first.value)}: ${measure} x ${(last[measure] / first[measure]).toFixed(1)}`;
}

function tableOf(axis: string): Table {
  return {
    name: axis,
    caption: measures.map((measure) => growth(axis, measure)).join(", "),
    head: ["", ...of(axis).map(({ value }) => value.toLocaleString("en"))],
    align: ["left", ...of(axis).map(() => "right" as const)],
    rows: measures.map((measure) => [measure, ...of(axis).map((point) => point[measure].toFixed(0))]),
  };
}

function draw(axis: string, measure: "ms" | "MiB"): SVGSVGElement {
  const own = of(axis);
  const said = `${axis} ${growth(axis, measure)}`;
  return drawFigure(
    {
      name: `${measure === "ms" ? "time" : "memory"} of a search step against ${axis}`,
      says: said,
      height: 220,
      marginLeft: 56,
      marginBottom: 40,
      marginTop: 28,
      x: { label: said, domain: [0, own.at(-1)!.value], labelAnchor: "center", labelArrow: "none", ticks: 6 },
      y: { label: measure, domain: [0, Math.max(...own.map((point) => point[measure]))], grid: true, zero: true },
      marks: [
        Plot.line(own, { x: "value", y: measure, stroke: seriesColour(0), strokeWidth: 2 }),
        Plot.dot(own, { x: "value", y: measure, fill: seriesColour(0), r: 3 }),
      ],
    },
    { document, width: 420, theme: "light" },
  );
}
