/** Writes what a script found: tables as Markdown, LaTeX and CSV, and figures as SVG. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { parseHTML } from "linkedom";
import type { FigureOptions } from "../../src/charts/index.js";
import { relative } from "../../src/report/export-lines.js";
import { csvOf } from "../../src/report/tables/csv.js";
import { toLatex } from "../../src/report/tables/latex.js";
import { toMarkdown } from "../../src/report/tables/markdown.js";
import type { Table } from "../../src/report/tables/results.js";
import { writeAtomic } from "../../src/runs/layout.js";
import type { Options } from "./options.js";
import { notComparable } from "./published.js";

export interface Findings {
  title: string;
  /** For people; also what LaTeX and Markdown hold. */
  tables: readonly Table[];
  /** All digits, one row a number. */
  csv: { header: readonly string[]; rows: readonly (readonly unknown[])[] };
  figures?: Readonly<Record<string, (options: FigureOptions) => SVGSVGElement>>;
  /** What is published, what is not comparable, what should be known. */
  notes: readonly string[];
}

/** Writes everything into the options' output folder, and prints tables and notes. */
export async function publish(options: Options, { title, tables, csv, figures = {}, notes }: Findings): Promise<void> {
  const { output, script, scale, seeds } = options;
  await mkdir(output, { recursive: true });
  const told = [...notes, ...scaleNotes(options), ...notComparable.map((note) => `not comparable: ${note}`)];
  const pictures = Object.keys(figures).map((name) => `![${name}](${name}.svg)`);
  const markdown = [`# ${title}`, toMarkdown(tables), ...pictures, told.map((note) => `- ${note}`).join("\n")].join(
    "\n\n",
  );
  const command = `npx jiti scripts/${script}.ts --scale ${scale} --seeds ${seeds}${options.data === undefined ? "" : " --data <folder>"}`;
  await writeAtomic(path.join(output, "table.md"), `${markdown}\n\nMade by \`${command}\`.\n`);
  await writeAtomic(path.join(output, "table.tex"), `% ${command}\n${toLatex(tables)}\n`);
  await writeAtomic(path.join(output, "table.csv"), `${csvOf(csv.header, csv.rows)}\n`);
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: Document };
  for (const [name, draw] of Object.entries(figures)) {
    await writeAtomic(
      path.join(output, `${name}.svg`),
      `${draw({ document, width: 640, theme: "light" }).outerHTML}\n`,
    );
  }
  console.log([toMarkdown(tables), told.map((note) => `- ${note}`).join("\n"), relative(output)].join("\n\n"));
}

function scaleNotes({ scale, data }: Options): string[] {
  if (scale === "paper") return [];
  return [
    "not comparable: the backbone here is MiniLM, 22.7 million parameters, trained for a fraction of a full fine-tuning",
    ...(scale === "smoke" ? ["a smoke test on a few rows: its scores say nothing"] : []),
    ...(scale !== "smoke" && data === undefined
      ? [
          "the embedded tasks snips and qnli stand in for those that are not given by --data: nothing is published for them here",
        ]
      : []),
  ];
}
