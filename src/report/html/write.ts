/** Writes a run's report into its directory. */
import path from "node:path";
import { files, writeAtomic } from "../../runs/layout.js";
import { readWholeRun } from "../../runs/whole.js";
import { htmlReport } from "./report.js";

/** @returns the file's path */
export async function writeReport(directory: string, file = path.join(directory, files.report)): Promise<string> {
  await writeAtomic(file, await htmlReport(await readWholeRun(directory)));
  return file;
}
