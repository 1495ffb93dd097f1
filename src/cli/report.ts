/** espalier report: a run as one HTML file with its pictures, or its tables as Markdown, LaTeX or CSV. */
import path from "node:path";
import { EspalierError } from "../errors.js";
import { toCsv } from "../report/tables/csv.js";
import { evidenceTables } from "../report/tables/evidence.js";
import { toLatex } from "../report/tables/latex.js";
import { toMarkdown } from "../report/tables/markdown.js";
import { resultTables } from "../report/tables/results.js";
import { files, writeAtomic } from "../runs/layout.js";
import { findRun, readPlan, readRecord } from "../runs/read.js";
import { type CommonOptions, print, printJson } from "./output.js";

export interface ReportOptions extends CommonOptions {
  runs: string;
  format: "html" | "md" | "latex" | "csv";
  output?: string;
}

/** HTML goes into the run's directory, tables go to stdout; `--output` names another file for either. */
export async function reportCommand(given: string, options: ReportOptions): Promise<number> {
  const directory = await findRun(given, options.runs);
  const { format } = options;
  const named = options.output === undefined ? undefined : path.resolve(options.output);
  if (format === "html") {
    const { writeReport } = await import("../report/html/write.js");
    return written(await writeReport(directory, named ?? path.join(directory, files.report)));
  }
  const text = await tables(directory, given, format);
  if (named !== undefined) {
    await writeAtomic(named, `${text}\n`);
    return written(named);
  }
  if (options.json) printJson({ run: directory, format, text });
  else print(text);
  return 0;

  function written(file: string): number {
    if (options.json) printJson({ run: directory, format, file });
    else print(file);
    return 0;
  }
}

async function tables(directory: string, given: string, format: "md" | "latex" | "csv"): Promise<string> {
  const record = await readRecord(directory);
  if (record === undefined) {
    await readPlan(directory);
    throw new EspalierError(`${directory}: the run has not ended, so it has no tables yet`, {
      code: "run",
      mend: `espalier report ${given} shows how far it has come.`,
    });
  }
  if (format === "csv") return toCsv(record);
  const found = [...resultTables(record), ...evidenceTables(record).map(({ table }) => table)];
  return format === "md" ? toMarkdown(found) : toLatex(found);
}
