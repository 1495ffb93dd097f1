/** What commands print: text for people on stdout, one JSON object for machines, errors on stderr. */
import { PythonError } from "../bridge/errors.js";
import { EspalierError } from "../errors.js";

export interface CommonOptions {
  json?: boolean;
  verbose?: boolean;
}

/** Prints the one JSON object of `--json`. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Prints a paragraph. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line about the work, which is not its result. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints an error and returns the exit code that goes with it. */
export function reportError(error: unknown, { json = false, verbose = false }: CommonOptions): number {
  const known = error instanceof EspalierError;
  const message = error instanceof Error ? error.message : String(error);
  const mend = known ? error.mend : undefined;
  const code = known ? error.code : "run";
  if (json)
    printJson({
      status: code === "interrupted" ? "interrupted" : "failed",
      error: { code, message, mend: mend ?? null },
    });
  else {
    say(`error: ${message}`);
    if (mend !== undefined) say(mend);
  }
  if (verbose) say(details(error));
  else if (!known) say("This is a fault of Espalier itself; --verbose shows where.");
  return known ? error.exitCode : 1;
}

function details(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    parts.push(at instanceof PythonError ? at.traceback : (at.stack ?? at.message));
  }
  return parts.join("\ncaused by: ");
}
