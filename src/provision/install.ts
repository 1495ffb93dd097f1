/** Makes a virtual environment and installs exact versions into it with pip, showing how far it is. */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { pipFailure, venvFailure } from "./failures.js";
import { interpreterOf } from "./marker.js";

/** Called with a line for each thing that happens, and the share that is done where it is known. */
export type OnProgress = (line: string, done?: number) => void;

export interface Installation {
  /** Where the environment is made; nothing is there yet. */
  folder: string;
  /** The Python that it is made from. */
  base: string;
  /** The files of exact versions. */
  locks: readonly string[];
  /** A package that is installed without what it depends on. */
  standalone: string | null;
  env: NodeJS.ProcessEnv;
  onProgress: OnProgress;
}

/** @throws EspalierError ("environment") with pip's own last words and the next step */
export async function install({ folder, base, locks, standalone, env, onProgress }: Installation): Promise<void> {
  const venv = await execa(base, ["-I", "-m", "venv", folder], { ...quiet(env), all: true });
  if (venv.exitCode !== 0) throw venvFailure(base, venv.all || (venv.shortMessage ?? ""));

  const texts = await Promise.all(locks.map((lock) => readFile(lock, "utf8")));
  const total = texts.join("\n").match(/^[^#\n]+==/gm)?.length ?? 0;
  const pip = (what: string[], onLine?: (line: string) => void) => runPip(interpreterOf(folder), what, env, onLine);
  await pip(
    locks.flatMap((lock) => ["-r", lock]),
    followPip(total, onProgress),
  );
  if (standalone !== null) {
    onProgress(`Python environment: ${standalone}`, 0.95);
    await pip(["--no-deps", standalone]);
  }
}

/**
 * Turns pip's lines into progress over `total` packages. pip first collects every package, of which an index may tell it
 * all without a download, then fetches their files, then unpacks them.
 */
export function followPip(total: number, onProgress: OnProgress): (line: string) => void {
  const collected = new Set<string>();
  const fetched = new Set<string>();
  const share = (count: number) => Math.min(1, count / Math.max(1, total));
  const show = (name: string, count: number) => {
    // What a platform adds, such as CUDA's libraries, is in no lock.
    const place = count <= total ? ` (${count} of ${total})` : "";
    onProgress(`Python environment: ${name}${place}`, 0.2 * share(collected.size) + 0.6 * share(fetched.size));
  };
  return (line) => {
    const wanted = /^Collecting ([\w.-]+)/.exec(line)?.[1];
    if (wanted !== undefined) show(wanted, collected.add(canonical(wanted)).size);
    const file = /^\s*(?:Downloading|Using cached|Processing) (\S+\.(?:whl|tar\.gz|zip))(?: |$)/.exec(line)?.[1];
    const name = file === undefined ? undefined : /^[\w.]+(?:-[A-Za-z]\w*)*/.exec(file.split(/[/\\]/).at(-1)!)?.[0];
    if (name !== undefined) {
      collected.add(canonical(name));
      show(name, fetched.add(canonical(name)).size);
    }
    if (line.startsWith("Installing collected packages")) onProgress("Python environment: installing", 0.85);
  };
}

/**
 * `pip install` of `what` into the environment of `python`.
 *
 * @throws EspalierError ("environment") with pip's own last words
 */
export async function runPip(
  python: string,
  what: readonly string[],
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  const options = ["--disable-pip-version-check", "--no-input", "install", "--progress-bar", "off"];
  const child = execa(python, ["-I", "-m", "pip", ...options, ...what], { ...quiet(env), all: true });
  for await (const line of child.iterable({ from: "all" })) onLine(line);
  const result = await child;
  if (result.exitCode !== 0) throw pipFailure(result.all || (result.shortMessage ?? ""));
}

/**
 * Without the caller's own packages: Python's `-I` leaves out PYTHONPATH and the user's folder, which pip would count as
 * installed, and PIP_USER would have it install there.
 */
function quiet(env: NodeJS.ProcessEnv) {
  return { reject: false, stdin: "ignore", extendEnv: false, env: { ...env, PIP_USER: "0" } } as const;
}

/** A name in the one spelling that an index knows it by. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}
