/** Loads what a user wrote: experiment.ts, .js or .json. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { createJiti } from "jiti";
import { EspalierError } from "../errors.js";
import type { ExperimentInput } from "../experiment/schema.js";

const modules = [".ts", ".mts", ".js", ".mjs"];

/**
 * The experiment that a file holds: a JSON object, or a module's default export (a promise is awaited). `import ... from
 * "espalier"` finds this installation wherever the file lies.
 *
 * @throws EspalierError ("input") naming the file, and the line of a syntax error
 */
export async function loadExperiment(file: string): Promise<ExperimentInput> {
  const absolute = path.resolve(file);
  const info = await stat(absolute).catch(() => undefined);
  if (info === undefined)
    throw wrong(`${file}: there is no such file`, "Give the path of an experiment.ts, .js or .json.");
  if (!info.isFile()) throw wrong(`${file}: is not a file`, "Give the path of an experiment.ts, .js or .json.");
  const extension = path.extname(absolute);
  if (extension === ".json") return parseJson(file, await readFile(absolute, "utf8"));
  if (!modules.includes(extension)) {
    throw wrong(
      `${file}: "${extension}" is not a kind of file that experiments come in`,
      `Use ${[...modules, ".json"].join(", ")}.`,
    );
  }
  return loadModule(file, absolute);
}

async function loadModule(file: string, absolute: string): Promise<ExperimentInput> {
  const index = path.resolve(import.meta.dirname, "..", `index${path.extname(import.meta.filename)}`);
  const jiti = createJiti(absolute, {
    alias: { espalier: index },
    moduleCache: false,
    fsCache: false,
    interopDefault: false,
  });
  let loaded: { default?: unknown };
  try {
    loaded = await jiti.import<{ default?: unknown }>(absolute);
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw new EspalierError(`${file}: could not be loaded: ${(error as Error).message.trim()}`, {
      code: "input",
      mend: "Mend the file; --verbose shows the stack.",
      cause: error,
    });
  }
  const experiment = await loaded.default;
  if (typeof experiment !== "object" || experiment === null) {
    throw wrong(
      `${file}: has no experiment as its default export`,
      "End it with: export default defineExperiment({ ... });",
    );
  }
  return experiment as ExperimentInput;
}

function parseJson(file: string, text: string): ExperimentInput {
  try {
    return JSON.parse(text) as ExperimentInput;
  } catch (error) {
    throw wrong(
      `${file}${positionOf(text, error as Error)}: is not JSON: ${(error as Error).message}`,
      "Mend the file at that place.",
    );
  }
}

/** ":line:column" where the engine tells the position. */
function positionOf(text: string, error: Error): string {
  const position = /position (\d+)/.exec(error.message)?.[1];
  if (position === undefined) return "";
  const before = text.slice(0, Number(position)).split("\n");
  return `:${before.length}:${before.at(-1)!.length + 1}`;
}

function wrong(message: string, mend: string): EspalierError {
  return new EspalierError(message, { code: "input", mend });
}
