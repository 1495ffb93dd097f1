/** What became of an export, for the terminal. */
import path from "node:path";
import type { Export } from "../experiment/records.js";

/** Two or three lines: whose adapter it is, how it compares, what it lacks, and where it is. */
export function exportLines({ task, to, maxDifference, leftOut, path: folder }: Export): string {
  const whose = task === null ? "adapter of all tasks" : `adapter of ${task}`;
  return [
    `${whose} (${to}, reloaded, largest difference ${maxDifference.toExponential(1)}):`,
    ...(leftOut.length === 0 ? [] : [`  without ${leftOut.join(", ")}, which ${to} cannot hold`]),
    `  ${relative(folder)}`,
  ].join("\n");
}

/** A path as people type it: from the working directory where it lies in it. */
export function relative(file: string): string {
  const short = path.relative(process.cwd(), file);
  return short === "" || short.startsWith("..") ? file : short;
}
