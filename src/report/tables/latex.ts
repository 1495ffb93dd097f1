/** Tables as LaTeX, with the rules of the booktabs package. */
import type { Table } from "./results.js";

export function toLatex(tables: readonly Table[]): string {
  return ["% needs \\usepackage{booktabs}", ...tables.map(one)].join("\n\n");
}

function one({ name, caption, head, align, rows }: Table): string {
  const line = (cells: readonly string[]) => `    ${cells.map(escaped).join(" & ")} \\\\`;
  return [
    "\\begin{table}",
    "  \\centering",
    `  \\caption{${escaped(name)}: ${escaped(caption)}}`,
    `  \\begin{tabular}{${align.map((side) => side[0]).join("")}}`,
    "    \\toprule",
    line(head),
    "    \\midrule",
    ...rows.map(line),
    "    \\bottomrule",
    "  \\end{tabular}",
    "\\end{table}",
  ].join("\n");
}

const special: Record<string, string> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "\u2013": "--",
  "\u2212": "$-$",
  "<": "\\textless{}",
  ">": "\\textgreater{}",
};

function escaped(text: string): string {
  return text.replace(/[\\~^\u2013\u2212<>&%$#_{}]/g, (character) => special[character] ?? `\\${character}`);
}
