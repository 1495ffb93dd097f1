/** One run as the page shows it. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Structure } from "../experiment/records.js";
import { readBatch } from "../runs/follow.js";
import { files } from "../runs/layout.js";
import { gather, noProgress, type RunProgress } from "../runs/progress.js";
import { readPlan, readResult, readRobustness, readStructure, summariseRun } from "../runs/read.js";
import { readLock } from "../runs/whole.js";
import type { ExportedFile, RunDetail } from "./data.js";

/** Runs whose progress is kept, so that a long run's events are read once. */
const kept = 20;

export class RunDetails {
  readonly #progress = new Map<string, { progress: RunProgress; offset: number }>();

  /** @throws EspalierError ("input") where the directory is no run, or damaged */
  async read(directory: string): Promise<Omit<RunDetail, "resume">> {
    const plan = await readPlan(directory);
    const summary = await summariseRun(directory);
    const { progress, offset } = await this.#progressOf(directory);
    const results: RunDetail["results"] = {};
    const withGates: string[] = [];
    for (const { id } of plan.trials) {
      const result = await readResult(directory, id);
      if (result !== undefined) results[id] = result;
      if (await exists(path.join(directory, files.gates(id)))) withGates.push(id);
    }
    return {
      name: path.basename(directory),
      directory,
      state: summary?.state ?? "damaged",
      plan,
      record: summary?.record ?? null,
      robustness: (await readRobustness(directory)) ?? null,
      lock: await readLock(directory),
      progress,
      offset,
      results,
      withGates,
      exports: await exportsOf(directory),
      hasReport: await exists(path.join(directory, files.report)),
    };
  }

  async #progressOf(directory: string): Promise<{ progress: RunProgress; offset: number }> {
    const known = this.#progress.get(directory) ?? { progress: noProgress(), offset: 0 };
    const { events, offset } = await readBatch(directory, known.offset);
    // A run that was deleted and made anew under its name begins anew.
    const progress = offset < known.offset ? noProgress() : known.progress;
    for (const event of events) gather(progress, event);
    const state = { progress, offset };
    this.#progress.delete(directory);
    this.#progress.set(directory, state);
    if (this.#progress.size > kept) this.#progress.delete(this.#progress.keys().next().value!);
    return state;
  }
}

/** The structures of all trials that found one. */
export async function structuresOf(directory: string): Promise<Record<string, Structure>> {
  const { trials } = await readPlan(directory);
  const structures: Record<string, Structure> = {};
  for (const { id } of trials) {
    const structure = await readStructure(directory, id);
    if (structure !== undefined) structures[id] = structure;
  }
  return structures;
}

async function exportsOf(directory: string): Promise<ExportedFile[]> {
  const found = await readdir(path.join(directory, "exports"), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  const exported = await Promise.all(
    found
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const file = path.join(entry.parentPath, entry.name);
        const bytes = await stat(file).then(
          (info) => info.size,
          () => 0,
        );
        return { path: path.relative(directory, file).split(path.sep).join("/"), bytes };
      }),
  );
  return exported.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
