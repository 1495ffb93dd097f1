/** Where Espalier keeps what it makes outside of a project. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";

const packageRoot = path.resolve(import.meta.dirname, "..", "..");

/** The Python half of the package: what PYTHONPATH must hold. */
export const pythonFolder = path.join(packageRoot, "python");

/** What an environment must be able to do: run experiments, or also run the tests. */
export type Extras = "runtime" | "test";

/** ESPALIER_HOME, else the user's folder for what can be made again. */
export function espalierHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env.ESPALIER_HOME) return path.resolve(env.ESPALIER_HOME);
  if (env.XDG_CACHE_HOME) return path.join(env.XDG_CACHE_HOME, "espalier");
  if (process.platform === "darwin") return path.join(homedir(), "Library", "Caches", "espalier");
  if (process.platform === "win32" && env.LOCALAPPDATA) return path.join(env.LOCALAPPDATA, "espalier");
  return path.join(homedir(), ".cache", "espalier");
}

/** The lock files that make up an environment, in the order of installing. */
export function lockFiles(extras: Extras, folder = path.join(pythonFolder, "requirements")): string[] {
  const runtime = path.join(folder, "runtime.lock");
  return extras === "runtime" ? [runtime] : [runtime, path.join(folder, "test.lock")];
}

/** The environment's folder: its name is a hash of the machine's kind, the Python version and all that is installed. */
export async function environmentFolder(
  home: string,
  version: string,
  locks: readonly string[],
  standalone: string | null,
): Promise<string> {
  // A home may be shared by machines of several kinds.
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${version} ${standalone}\n`);
  for (const lock of locks) hash.update(await readFile(lock));
  return path.join(home, "environments", hash.digest("hex").slice(0, 16));
}
