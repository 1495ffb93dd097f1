/** Loads what a user wrote: experiment.ts, .js or .json. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { types } from "node:util";
import { createJiti } from "jiti";
import { EspalierError } from "../errors.js";
import type { ExperimentInput } from "../experiment/schema/index.js";
import { parseJson } from "./experiment-json.js";

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
  if (extension === ".json") return parseJson(file, await readFile(absolute, "utf8")) as ExperimentInput;
  if (!modules.includes(extension)) {
    throw wrong(
      `${file}: "${extension}" is not a kind of file that experiments come in`,
      `Use ${[...modules, ".json"].join(", ")}.`,
    );
  }
  return loadModule(file, absolute);
}

async function loadModule(file: string, absolute: string): Promise<ExperimentInput> {
  const jiti = createJiti(absolute, {
    // The modules of this very process, and not a second copy whose errors would be of another class.
    virtualModules: { espalier: await import("../index.js") },
    moduleCache: false,
    fsCache: false,
    interopDefault: false,
  });
  let experiment: unknown;
  try {
    experiment = await defaultExport(await jiti.import<object>(absolute));
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw new EspalierError(`${file}: could not be loaded: ${oneLine(error)}`, {
      code: "input",
      mend: "Mend the file; --verbose shows the stack.",
      cause: error,
    });
  }
  if (typeof experiment !== "object" || experiment === null) {
    throw wrong(
      `${file}: has no experiment as its default export`,
      "End it with: export default defineExperiment({ ... });",
    );
  }
  return experiment as ExperimentInput;
}

/** A CommonJS file that requires another module comes as its `module.exports` alone. */
function defaultExport(loaded: { default?: unknown }): unknown {
  const isModule = "default" in loaded || "__esModule" in loaded || types.isModuleNamespaceObject(loaded);
  return isModule ? loaded.default : loaded;
}

/** What a loader says, without the list of files that led there. */
function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/\nRequire stack:[\s\S]*/, "")
    .replace(/\s+/g, " ")
    .trim();
}

function wrong(message: string, mend: string): EspalierError {
  return new EspalierError(message, { code: "input", mend });
}
