/** The structure that stands for a run: the answer's, of the first trial that finished. */
import type { Structure } from "../experiment/records.js";
import { readPlan, readStructure } from "../runs/read.js";

export async function answersStructure(directory: string): Promise<Structure | undefined> {
  const plan = await readPlan(directory);
  const answer = plan.methods[0]?.name;
  for (const trial of plan.trials) {
    if (trial.method !== answer) continue;
    const structure = await readStructure(directory, trial.id);
    if (structure !== undefined) return structure;
  }
  return undefined;
}
