/** Packages that only some experiments need, added to the environment when one first does: the usual set-up stays lean. */
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import type { PythonEnvironment } from "./ensure.js";
import { pythonFolder } from "./home.js";
import { type OnProgress, runPip } from "./install.js";
import { lockFolder } from "./lock.js";

export type Addition = "smollm2" | "generation" | "onnx";

/** What an experiment uses, as far as it decides on packages; `exports`: the format that its adapter is taken away in. */
export interface Uses {
  backbone: { source: string; name?: string };
  tasks?: readonly { kind: string }[];
  exports?: string;
}

/** The additions that an experiment needs. */
export function additionsFor({ backbone, tasks = [], exports }: Uses): Addition[] {
  const wanted: Addition[] = [];
  if (backbone.source === "embedded" && backbone.name === "smollm2") wanted.push("smollm2");
  if (tasks.some((task) => task.kind === "generation")) wanted.push("generation");
  if (exports === "onnx") wanted.push("onnx");
  return wanted;
}

export interface AddOptions {
  onProgress?: OnProgress;
  env?: NodeJS.ProcessEnv;
  /** The folder of the lock files; default: the package's. */
  folder?: string;
}

/**
 * Installs what is still missing, each addition once, whoever asks first. An interpreter of the user's own is left as it is: a run
 * that lacks a package there says so, with the command that installs it.
 *
 * @throws EspalierError ("environment") with pip's own last words
 */
export async function addPackages(
  environment: PythonEnvironment,
  additions: readonly Addition[],
  options: AddOptions = {},
): Promise<void> {
  if (environment.origin !== "provisioned") return;
  const { onProgress = () => {}, env = process.env, folder = path.join(pythonFolder, "requirements") } = options;
  const records = path.join(path.dirname(path.dirname(environment.python)), "additions");
  for (const addition of additions) {
    const requirements = path.join(folder, `${addition}.lock`);
    const text = await readFile(requirements, "utf8");
    const record = path.join(records, addition);
    if (await stands(record, text)) continue;
    await mkdir(records, { recursive: true });
    const lock = await lockFolder(record, () => onProgress(`waiting for another process, which installs ${addition}`));
    try {
      if (await stands(record, text)) continue;
      const names = text.match(/^[\w.-]+(?===)/gm) ?? [];
      onProgress(`Python environment: adding ${names.join(", ")}`);
      await runPip(environment.python, ["--no-deps", "-r", requirements], env);
      lock.assertHeld();
      await writeFile(`${record}.tmp`, text);
      await rename(`${record}.tmp`, record);
    } finally {
      await lock.release();
    }
  }
}

/** Whether the record says that exactly these requirements were installed. */
async function stands(record: string, text: string): Promise<boolean> {
  const found = await stat(record).catch(() => undefined);
  return found?.isFile() === true && (await readFile(record, "utf8")) === text;
}
