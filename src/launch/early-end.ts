/** What a run that ends early tells its user: what stopped it, and how it continues. */
import path from "node:path";
import { Interrupted, PythonCrashed } from "../bridge/errors.js";
import { EspalierError } from "../errors.js";

/** `error` as the user should read it, where the run in `directory` had begun and can be continued. */
export function earlyEnd(error: unknown, directory: string): unknown {
  const how = `What is done is kept. Continue with: espalier run --resume ${path.relative(process.cwd(), directory) || "."}`;
  if (error instanceof Interrupted) return new Interrupted("The run was interrupted.", { mend: how, cause: error });
  if (error instanceof PythonCrashed) {
    return new EspalierError(error.message, { code: "run", mend: `${error.mend ?? ""} ${how}`.trim(), cause: error });
  }
  if (isFullDisk(error)) {
    const message = `The disk is full: ${directory} takes no more.`;
    return new EspalierError(message, { code: "run", mend: `Free some space. ${how}`, cause: error });
  }
  return error;
}

/** ENOSPC and EDQUOT, as Python and the Rust libraries below it write them. */
function isFullDisk(error: unknown): boolean {
  return error instanceof Error && /\b(?:errno|os error) (?:28|122)\b/i.test(error.message);
}
