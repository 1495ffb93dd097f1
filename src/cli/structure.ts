/** espalier structure: draws a structure, or two against each other. */
import path from "node:path";
import { paintFor } from "../report/paint.js";
import { drawComparison } from "../report/structure-comparison.js";
import { drawStructure } from "../report/structure-drawing.js";
import { findStructure } from "../runs/find-structure.js";
import { compareStructures } from "../runs/structure-comparison.js";
import { type CommonOptions, print, printJson } from "./output.js";

export interface StructureOptions extends CommonOptions {
  runs: string;
}

export async function structureCommand(options: StructureOptions, given: string, against?: string): Promise<number> {
  const a = await findStructure(given, options.runs);
  const paint = paintFor(process.stdout);
  if (against === undefined) {
    if (options.json) printJson(a);
    else print(drawStructure(a.structure, paint));
    return 0;
  }
  const b = await findStructure(against, options.runs);
  const comparison = compareStructures(a.structure, b.structure);
  if (options.json) printJson({ a: a.file, b: b.file, ...comparison });
  else {
    const files = [a.file, b.file].map((file, index) => `${index === 0 ? "a" : "b"}  ${path.relative(".", file)}`);
    print(`${files.join("\n")}\n\n${drawComparison(a.structure, b.structure, comparison, paint)}`);
  }
  return 0;
}
