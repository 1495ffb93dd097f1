/** Looks at everything that a run needs of the machine, and changes nothing. */
import { access, constants, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { checkPython, embeddedModel, embeddedModelCommand, mendCommand, requiredPackages } from "./check.js";
import { neededGiB } from "./failures.js";
import { findPython, type PythonFound, pythonCandidates } from "./find.js";
import { environmentFolder, espalierHome, lockFiles } from "./home.js";
import { readMarker } from "./marker.js";
import { type ImportTrial, tryImports } from "./try.js";

export interface Finding {
  what: string;
  /** "warn": a run is possible, but not all that Espalier can do. */
  state: "ok" | "warn" | "fail";
  found: string;
  /** The command or step that mends it; null where nothing is wrong. */
  mend: string | null;
}

export async function examine(env: NodeJS.ProcessEnv = process.env): Promise<Finding[]> {
  return [node(), await home(env), ...(env.ESPALIER_PYTHON ? await own(env.ESPALIER_PYTHON) : await provisioned(env))];
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok("node", process.version);
  return fail("node", process.version, "Install Node 20.19 or newer.");
}

async function home(env: NodeJS.ProcessEnv): Promise<Finding> {
  const folder = espalierHome(env);
  try {
    const standing = await nearestStanding(folder);
    if (!(await stat(standing)).isDirectory()) throw new Error(`${standing} is not a folder`);
    await access(standing, constants.W_OK);
    const { bavail, bsize } = await statfs(standing);
    const free = (bavail * bsize) / 2 ** 30;
    const found = `${folder}, ${free.toFixed(1)} GiB free`;
    if (free >= neededGiB || env.ESPALIER_PYTHON) return ok("home", found);
    return warn("home", found, `An environment takes about ${neededGiB} GiB: free some, or set ESPALIER_HOME.`);
  } catch (error) {
    return fail("home", `${folder}: ${reason(error)}`, "Set ESPALIER_HOME to a folder that can be written.");
  }
}

/** `folder`, or the nearest of those that hold it that exists. */
async function nearestStanding(folder: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    try {
      await stat(at);
      return at;
    } catch (error) {
      if (path.dirname(at) === at) throw error;
    }
  }
}

async function provisioned(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const candidates = await pythonCandidates(env);
  const seen = candidates.map(({ command, version }) => `${command} ${version}`).join(", ") || "none";
  let base: PythonFound;
  try {
    base = await findPython(env);
  } catch (error) {
    return [fail("python", reason(error), mendOf(error))];
  }
  const python = ok("python", `${base.command} ${base.version} (on the PATH: ${seen})`);
  const folder = await environmentFolder(
    espalierHome(env),
    base.version,
    lockFiles("runtime"),
    embeddedModel.requirement,
  );
  const made = await readMarker(folder);
  if (made === undefined) return [python, fail("environment", "not made yet", "espalier setup")];
  return [python, ...(await contents("environment", made.python, `Remove ${folder} and run: espalier setup`))];
}

function own(python: string): Promise<Finding[]> {
  return contents("ESPALIER_PYTHON", python);
}

/** What an interpreter has; `remake` mends whatever is wrong in an environment that Espalier made. */
async function contents(what: string, python: string, remake?: string): Promise<Finding[]> {
  try {
    const check = await checkPython(python);
    const mend = async (requirement: string) => remake ?? mendCommand({ ...check, lacking: [requirement] });
    const trial = await tryImports(python).catch((error) => reason(error));
    const packages = Object.entries(requiredPackages).map(async ([name, oldest]) => {
      const requirement = `${name}>=${oldest}`;
      const version = check.packages[name] ?? null;
      const broken = typeof trial === "string" ? undefined : trial.broken[name];
      if (version === null) return fail(name, "missing", await mend(requirement));
      if (check.lacking.includes(requirement))
        return fail(name, `${version}, older than ${oldest}`, await mend(requirement));
      if (broken !== undefined) return fail(name, `${version}, does not import: ${broken}`, await mend(requirement));
      return ok(name, version);
    });
    return [
      ok(what, `Python ${check.version}, ${python}`),
      ...(await Promise.all(packages)),
      embedded(python, check.packages[embeddedModel.name] ?? null),
      datasets(check.packages.datasets ?? null, await mend("datasets>=4")),
      device(trial, remake ?? (await mend(`torch>=${requiredPackages.torch}`))),
    ];
  } catch (error) {
    return [fail(what, reason(error), remake ?? mendOf(error))];
  }
}

function embedded(python: string, version: string | null): Finding {
  if (version !== null) return ok("embedded model", `minilm, ${embeddedModel.name} ${version}`);
  return warn("embedded model", "missing: model.miniLM cannot be used", embeddedModelCommand(python));
}

function datasets(version: string | null, mend: string): Finding {
  if (version !== null) return ok("hub tasks", `datasets ${version}`);
  return warn("hub tasks", "datasets is missing: task.hub cannot be used", mend);
}

function device(trial: ImportTrial | string, mend: string): Finding {
  if (typeof trial === "string") return fail("device", `Python ended while importing the packages: ${trial}`, mend);
  if (trial.broken.torch !== undefined) return fail("device", "unknown without torch", mend);
  return ok("device", trial.cuda === null ? "cpu (no CUDA device)" : `cuda: ${trial.cuda}`);
}

function ok(what: string, found: string): Finding {
  return { what, state: "ok", found, mend: null };
}

function warn(what: string, found: string, mend: string): Finding {
  return { what, state: "warn", found, mend };
}

function fail(what: string, found: string, mend: string): Finding {
  return { what, state: "fail", found, mend };
}

function reason(error: unknown): string {
  return (error as { shortMessage?: string }).shortMessage ?? (error as Error).message;
}

function mendOf(error: unknown): string {
  return (error instanceof EspalierError ? error.mend : undefined) ?? "Run again with --verbose.";
}
