/** Runs the experiments of a survey one after the other, and tells what goes on. */
import { type ExperimentDefinition, type RunRecord, run } from "../../src/index.js";

/** The experiment's record, kept under `runsFolder`; an ended run of it is read back, an interrupted one continued. */
export async function carriedOut(experiment: ExperimentDefinition, runsFolder: string): Promise<RunRecord> {
  let told = "";
  return await run(experiment, {
    runsFolder,
    reuse: true,
    onEvent: (event) => {
      if (event.type !== "progress" || event.trial === null || event.trial === told) return;
      told = event.trial;
      console.error(`${experiment.name}: ${told}, ${Math.round(100 * event.done)} % done`);
    },
  });
}
