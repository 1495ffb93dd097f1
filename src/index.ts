/** Espalier's public API. */
export { Interrupted, PythonCrashed, PythonError } from "./bridge/errors.js";
export { type ErrorCode, EspalierError } from "./errors.js";
export { adapters } from "./experiment/adapters.js";
export {
  type Budget,
  baselines,
  budget,
  defineExperiment,
  type ExperimentDefinition,
  model,
  search,
  task,
} from "./experiment/define.js";
export { planExperiment } from "./experiment/plan.js";
export type {
  Comparison,
  Event,
  Perturbation,
  ResultRow,
  Robustness,
  RobustnessCurve,
  RunRecord,
  Structure,
  TrialResult,
} from "./experiment/records.js";
export type { ExperimentInput, Plan, Slot, Trial } from "./experiment/schema/index.js";
export { spaces } from "./experiment/spaces.js";
export { type Sensitivity, type SensitivityOptions, study } from "./experiment/study.js";
export type { ComparisonTableRow, GateTableRow, PredictionTableRow, ResultTableRow } from "./experiment/tables.js";
export { type RobustnessOptions, type RobustnessSettings, robustness } from "./robustness.js";
export { type OpenRun, openRun, type RunOptions, resumeRun, run } from "./run.js";
export {
  openStore,
  type QueryResult,
  type RunStore,
  type StoredComparison,
  type StoredGate,
  type StoredResult,
  type StoredRun,
} from "./runs/store/store.js";
export { type Move, type Overlap, type StructureComparison, structure } from "./runs/structure-comparison.js";
