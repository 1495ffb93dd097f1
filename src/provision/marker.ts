/** The file that says that an environment was made whole; it is written last, and atomically. */
import { access, constants, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";

export interface MadeEnvironment {
  python: string;
  version: string;
}

/** The environment in `folder`, if it was made whole and its interpreter is still there. */
export async function readMarker(folder: string): Promise<MadeEnvironment | undefined> {
  const python = interpreterOf(folder);
  try {
    const { version } = JSON.parse(await readFile(markerOf(folder), "utf8")) as { version: string };
    // The interpreter is a link to the Python that the environment was made from, which may have been removed.
    await access(python, constants.X_OK);
    return { python, version };
  } catch {
    return undefined;
  }
}

export async function writeMarker(folder: string, version: string): Promise<MadeEnvironment> {
  const temporary = `${markerOf(folder)}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify({ version, made: new Date().toISOString() })}\n`);
  await rename(temporary, markerOf(folder));
  return { python: interpreterOf(folder), version };
}

export function interpreterOf(folder: string): string {
  return process.platform === "win32" ? path.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
}

function markerOf(folder: string): string {
  return path.join(folder, "espalier-ready.json");
}
