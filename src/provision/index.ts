/** The Python environment: found, made once, checked. The only place that makes environments. */
export { checkPython, type PythonCheck, requiredPackages } from "./check.js";
export { type EnsureOptions, ensurePython, type PythonEnvironment } from "./ensure.js";
export { examine, type Finding } from "./examine.js";
export { findPython, type PythonFound, pythonCandidates, supportedVersions } from "./find.js";
export { environmentFolder, espalierHome } from "./home.js";
