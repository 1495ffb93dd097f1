/** The run directory: what it is called, where its files are, and how it comes to be. */
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { planHash } from "../experiment/plan.js";
import type { Plan } from "../experiment/schema/index.js";

/** The files of a run that TypeScript reads or writes, relative to its directory. */
export const files = {
  plan: "plan.json",
  lock: "lock.json",
  events: "events.jsonl",
  record: "record.json",
  results: "results.parquet",
  comparisons: "comparisons.parquet",
  log: "python.log",
  structure: (trial: string) => path.join("trials", trial, "structure.json"),
  race: (trial: string) => path.join("trials", trial, "race.json"),
  result: (trial: string) => path.join("trials", trial, "result.json"),
  trialEvents: (trial: string) => path.join("trials", trial, "events.jsonl"),
  gates: (trial: string) => path.join("trials", trial, "gates.parquet"),
  predictions: (trial: string) => path.join("trials", trial, "predictions.parquet"),
  report: "report.html",
  robustness: "robustness.json",
  stop: "stop.request",
} as const;

/**
 * Makes `<folder>/<name>-<utc>-<plan hash>` and writes the plan into it.
 *
 * @returns the directory's absolute path
 * @throws EspalierError ("input") where the folder cannot be written
 */
export async function createRunDirectory(plan: Plan, folder: string, now = new Date()): Promise<string> {
  const stamp = now
    .toISOString()
    .replace(/[-:]/g, "")
    .replace(/\.\d+Z$/, "Z");
  const base = path.resolve(folder, `${plan.name}-${stamp}-${planHash(plan).slice(0, 8)}`);
  try {
    await mkdir(path.dirname(base), { recursive: true });
    for (let count = 1; ; count++) {
      const directory = count === 1 ? base : `${base}-${count}`;
      try {
        await mkdir(directory);
      } catch (error) {
        // Another run of the same plan began in the same second.
        if ((error as NodeJS.ErrnoException).code === "EEXIST" && count < 1000) continue;
        throw error;
      }
      try {
        await writeAtomic(path.join(directory, files.plan), `${JSON.stringify(plan, null, 2)}\n`);
      } catch (error) {
        await rm(directory, { recursive: true, force: true });
        throw error;
      }
      return directory;
    }
  } catch (error) {
    throw unwritable(error, folder);
  }
}

/** Writes under a temporary name, flushes, and renames: a reader never sees half a file. */
export async function writeAtomic(file: string, text: string): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(4).toString("hex")}.tmp`);
  try {
    const handle = await open(temporary, "w");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function unwritable(error: unknown, folder: string): unknown {
  const reasons: Record<string, string> = {
    EACCES: "it cannot be written",
    EPERM: "it cannot be written",
    EROFS: "it is on a read-only file system",
    ENOSPC: "the disk is full",
    ENOTDIR: "a part of its path is a file",
    EEXIST: "it is a file",
  };
  const reason = reasons[(error as NodeJS.ErrnoException).code ?? ""];
  if (reason === undefined) return error;
  return new EspalierError(`no run can be written to ${path.resolve(folder)}: ${reason}`, {
    code: "input",
    mend: "Give another folder with --runs, or free it.",
    cause: error,
  });
}
