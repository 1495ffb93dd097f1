/** What came of a run, beside its record: the structure that stands for it, and why trials failed. */
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Race, RunRecord, Structure } from "../experiment/records.js";
import { layerSharesOf } from "./layer-shares.js";
import { files } from "./layout.js";
import { readPlan, readRace, readResult, readStructure } from "./read.js";

export interface Failure {
  trial: string;
  error: string;
}

export interface Outcome {
  record: RunRecord;
  /** The answer's, of the first of its trials that finished. */
  structure: Structure | undefined;
  /** By task: the share of each layer in what the head reads, the embeddings first, in that trial; undefined where heads mix none. */
  layerShares?: Record<string, number[]> | undefined;
  failures: Failure[];
  /** The first race of the run that ended, and whose it is. */
  race?: { trial: string; race: Race } | undefined;
  /** The path of report.html; undefined where there is none. */
  report?: string | undefined;
}

/** @throws EspalierError ("input") where a file of the run is damaged */
export async function readOutcome(record: RunRecord): Promise<Outcome> {
  const { trials, methods } = await readPlan(record.run);
  const answer = methods[0]?.name;
  let structure: Structure | undefined;
  let layerShares: Record<string, number[]> | undefined;
  const failures: Failure[] = [];
  const racing = new Set(methods.filter((entry) => entry.method === "race").map((entry) => entry.name));
  let race: Outcome["race"];
  for (const { id, method } of trials) {
    const result = await readResult(record.run, id);
    if (result?.status === "failed") failures.push({ trial: id, error: result.error ?? "for a reason unknown" });
    else if (race === undefined && racing.has(method)) {
      const found = await readRace(record.run, id);
      if (found !== undefined) race = { trial: id, race: found };
    }
    if (result?.status !== "failed" && method === answer) {
      structure ??= await readStructure(record.run, id);
      if (result !== undefined) layerShares ??= layerSharesOf(result);
    }
  }
  const report = path.join(record.run, files.report);
  const hasReport = await stat(report).catch(() => undefined);
  return { record, structure, layerShares, failures, race, report: hasReport === undefined ? undefined : report };
}
