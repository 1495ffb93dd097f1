/** What came of a run, beside its record: the structure that stands for it, and why trials failed. */
import type { RunRecord, Structure } from "../experiment/records.js";
import { readPlan, readResult, readStructure } from "./read.js";

export interface Failure {
  trial: string;
  error: string;
}

export interface Outcome {
  record: RunRecord;
  /** The answer's, of the first of its trials that finished. */
  structure: Structure | undefined;
  failures: Failure[];
}

/** @throws EspalierError ("input") where a file of the run is damaged */
export async function readOutcome(record: RunRecord): Promise<Outcome> {
  const { trials, methods } = await readPlan(record.run);
  const answer = methods[0]?.name;
  let structure: Structure | undefined;
  const failures: Failure[] = [];
  for (const { id, method } of trials) {
    const result = await readResult(record.run, id);
    if (result?.status === "failed") failures.push({ trial: id, error: result.error ?? "for a reason unknown" });
    else if (method === answer) structure ??= await readStructure(record.run, id);
  }
  return { record, structure, failures };
}
