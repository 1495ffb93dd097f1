/** Tables as GitHub's Markdown. */
import type { Table } from "./results.js";

export function toMarkdown(tables: readonly Table[]): string {
  return tables.map(one).join("\n\n");
}

function one({ name, caption, head, align, rows }: Table): string {
  const texts = [head, ...rows].map((row) => row.map(escaped));
  const widths = head.map((_, column) => Math.max(3, ...texts.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => (align[column] === "right" ? text.padStart(widths[column]!) : text.padEnd(widths[column]!))).join(" | ")} |`;
  const rule = `| ${align.map((side, column) => (side === "right" ? `${"-".repeat(widths[column]! - 1)}:` : "-".repeat(widths[column]!))).join(" | ")} |`;
  return [`**${escaped(name)}**: ${escaped(caption)}`, "", line(texts[0]!), rule, ...texts.slice(1).map(line)].join(
    "\n",
  );
}

/** What would begin a cell, emphasis, a link, code or HTML. */
function escaped(text: string): string {
  return text.replace(/[\\|`*_[\]<>]/g, "\\$&");
}
