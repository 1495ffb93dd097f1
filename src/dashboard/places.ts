/** Where a request may lead: run directories of one folder and the files in them, and nowhere else. */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";

/**
 * The directory of the run called `name` in `folder`; undefined where there is none, where the name is a path, or where a link
 * leads out of the folder.
 */
export async function runPlace(folder: string, name: string): Promise<string | undefined> {
  const inside = await placeIn(folder, [name]);
  if (inside === undefined) return undefined;
  const info = await stat(inside).catch(() => undefined);
  return info?.isDirectory() ? inside : undefined;
}

/** The file at `relative`, with "/" between its parts, inside a run's directory; undefined where there is none such. */
export async function filePlace(run: string, relative: string): Promise<string | undefined> {
  const inside = await placeIn(run, relative.split("/"));
  if (inside === undefined) return undefined;
  const info = await stat(inside).catch(() => undefined);
  return info?.isFile() ? inside : undefined;
}

/** The real path of `parts` under `root`, undefined where it leaves `root`. */
async function placeIn(root: string, parts: readonly string[]): Promise<string | undefined> {
  if (!parts.every(isName)) return undefined;
  try {
    const base = await realpath(root);
    const place = await realpath(path.join(base, ...parts));
    return place.startsWith(`${base}${path.sep}`) ? place : undefined;
  } catch {
    return undefined;
  }
}

/** Hidden files are temporary ones, or none of a run. */
function isName(part: string): boolean {
  return part !== "" && !part.startsWith(".") && !/[/\\\0]/.test(part);
}
