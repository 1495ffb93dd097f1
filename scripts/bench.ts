/**
 * npm run bench: training time against what people run today, and what the bridge costs.
 *
 *     npm run bench                          all tasks of --data (default ../shared/data), embedded samples where it is missing
 *     npm run bench -- --quick --json        one task, about two minutes; machine output
 *     npm run bench -- --device cuda         on the GPU
 *
 * Every option is passed on: see `scripts/bench/__main__.py`.
 */
import path from "node:path";
import { execa } from "execa";
import { ensurePython } from "../src/provision/index.js";

const root = path.resolve(import.meta.dirname, "..");
const options = process.argv.slice(2);
const json = options.includes("--json");
const { python } = await ensurePython({ extras: "runtime" });
const pythonPath = [path.join(root, "python"), path.join(root, "scripts")].join(path.delimiter);

const { stdout: training } = await execa(python, ["-m", "bench", ...options], {
  cwd: root,
  env: { PYTHONPATH: pythonPath, HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" },
  stderr: "inherit",
});
const { stdout: bridge } = await execa("npx", ["jiti", "scripts/bridge-latency.ts", ...(json ? ["--json"] : [])], {
  cwd: root,
  env: { ESPALIER_PYTHON: python },
});
console.log(
  json ? JSON.stringify({ ...JSON.parse(training), bridge: JSON.parse(bridge) }) : `${training}\n\n${bridge}`,
);
