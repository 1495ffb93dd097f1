/** The interpreter to run on: the user's own, or an environment that is made once and then found again. */
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { checkPython, embeddedModel, embeddedModelCommand, mendCommand } from "./check.js";
import { storageFailure } from "./failures.js";
import { findPython } from "./find.js";
import { type Extras, environmentFolder, espalierHome, lockFiles } from "./home.js";
import { type Installation, install, type OnProgress } from "./install.js";
import { lockFolder } from "./lock.js";
import { type MadeEnvironment, readMarker, writeMarker } from "./marker.js";

export interface PythonEnvironment {
  /** Path of the interpreter. */
  python: string;
  version: string;
  origin: "provisioned" | "ESPALIER_PYTHON";
  /** Things that work but that the user should know. */
  warnings: string[];
}

export interface EnsureOptions {
  onProgress?: OnProgress;
  extras?: Extras;
  env?: NodeJS.ProcessEnv;
  /** The files of exact versions to install; default: those of the package. */
  locks?: string[];
  /** A package to install without what it depends on; default: the embedded model. */
  standalone?: string | null;
}

/**
 * The Python to run on. ESPALIER_PYTHON is checked and used as it is; else the environment is made, once.
 *
 * An environment counts as made when its marker stands, which is written last: an interrupted set-up is begun anew. Two
 * processes do not make the same one at once: the second waits for the first.
 *
 * @throws EspalierError naming what is missing and the command that mends it
 */
export async function ensurePython(options: EnsureOptions = {}): Promise<PythonEnvironment> {
  const { onProgress = () => {}, extras = "runtime", env = process.env } = options;
  if (env.ESPALIER_PYTHON) return usersOwn(env.ESPALIER_PYTHON, extras, env);
  const { locks = lockFiles(extras), standalone = embeddedModel.requirement } = options;
  const base = await findPython(env);
  const folder = await environmentFolder(espalierHome(env), base.version, locks, standalone);
  const made =
    (await readMarker(folder)) ??
    (await makeOnce({ folder, base: base.command, locks, standalone, env, onProgress }, base.version));
  return { ...made, origin: "provisioned", warnings: [] };
}

async function makeOnce(installation: Installation, version: string): Promise<MadeEnvironment> {
  const { folder, onProgress } = installation;
  try {
    await mkdir(path.dirname(folder), { recursive: true });
    const lock = await lockFolder(folder, () =>
      onProgress("waiting for another process, which makes the Python environment"),
    );
    try {
      return (await readMarker(folder)) ?? (await make(installation, version, lock.assertHeld));
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw storageFailure(error, path.dirname(folder));
  }
}

async function make(installation: Installation, version: string, assertHeld: () => void): Promise<MadeEnvironment> {
  const { folder, onProgress } = installation;
  onProgress(`Python environment: making ${folder}`, 0);
  await rm(folder, { recursive: true, force: true });
  try {
    await install(installation);
  } catch (error) {
    assertHeld();
    // Half an environment is of no use, and may be what fills the disk.
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  assertHeld();
  const made = await writeMarker(folder, version);
  onProgress("Python environment: ready", 1);
  return made;
}

async function usersOwn(python: string, extras: Extras, env: NodeJS.ProcessEnv): Promise<PythonEnvironment> {
  const check = await checkPython(python, { extras, env });
  if (check.lacking.length > 0) {
    throw new EspalierError(`ESPALIER_PYTHON=${python} lacks ${check.lacking.join(", ")}`, {
      code: "input",
      mend: `Install them: ${await mendCommand(check)}`,
    });
  }
  const warnings =
    check.packages[embeddedModel.name] === null
      ? [`${python} has not the embedded model; add it with: ${embeddedModelCommand(python)}`]
      : [];
  return { python, version: check.version, origin: "ESPALIER_PYTHON", warnings };
}
