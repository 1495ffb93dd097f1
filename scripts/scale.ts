/**
 * How a search step's time and memory grow with tokens, rows, layers, candidates and tasks: measured by `scripts/scale.py`, drawn
 * here, one picture an axis, with the growth that doubling brings in its title.
 *
 *     npx jiti scripts/scale.ts [--output docs/scale] [--quick]
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import * as Plot from "@observablehq/plot";
import { execa } from "execa";
import { parseHTML } from "linkedom";
import { z } from "zod";
import { drawFigure } from "../src/charts/figure.js";
import { ensurePython } from "../src/provision/index.js";

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
const { points } = Measured.parse(JSON.parse(stdout));
const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: Document };
await mkdir(values.output, { recursive: true });
for (const axis of new Set(points.map((point) => point.axis))) {
  const own = points.filter((point) => point.axis === axis);
  for (const measure of ["ms", "MiB"] as const) {
    const file = path.join(values.output, `${axis.replaceAll(" ", "-")}-${measure.toLowerCase()}.svg`);
    await writeFile(file, `${draw(axis, measure, own).outerHTML}\n`);
  }
  console.log(`${axis.padEnd(16)} ${own.map((p) => `${p.value}: ${p.ms} ms, ${p.MiB} MiB`).join("   ")}`);
}

function draw(axis: string, measure: "ms" | "MiB", own: readonly Point[]): SVGSVGElement {
  const [first, last] = [own[0]!, own.at(-1)!];
  const grown = `${axis} x ${Math.round(last.value / first.value)}: ${measure} x ${(last[measure] / first[measure]).toFixed(1)}`;
  return drawFigure(
    {
      name: `${measure === "ms" ? "time" : "memory"} of a search step against ${axis}`,
      says: grown,
      height: 220,
      marginLeft: 56,
      marginBottom: 36,
      marginTop: 28,
      x: { label: `${axis}   (${grown})`, domain: [0, last.value], labelAnchor: "center", labelArrow: "none" },
      y: { label: measure, domain: [0, Math.max(...own.map((point) => point[measure]))], grid: true, zero: true },
      marks: [
        Plot.line(own, { x: "value", y: measure, stroke: "var(--accent)" }),
        Plot.dot(own, { x: "value", y: measure, fill: "var(--accent)", r: 3 }),
      ],
    },
    { document, width: 420, theme: "light" },
  );
}
