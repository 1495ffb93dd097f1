/**
 * The contract: what a user may write (Experiment) and what crosses to Python (Plan). Types are inferred from these schemas,
 * JSON Schema and the pydantic models are generated from them (`npm run contract`), and nothing else defines either.
 */
export * from "./backbone.js";
export * from "./baselines.js";
export * from "./budget.js";
export * from "./experiment.js";
export * from "./kinds.js";
export * from "./methods.js";
export * from "./plan.js";
export * from "./space.js";
export * from "./task.js";
export * from "./training.js";
export * from "./tune.js";
