/**
 * npm test: every check and test of both halves, all of them even if one fails, and a last line "N passed, N failed".
 *
 *     npm test            npm test -- vitest pytest      (only these steps)
 *
 * Steps run one after the other: pytest and vitest are busy with all cores each.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { EspalierError } from "../src/errors.js";
import { addPackages } from "../src/provision/additions.js";
import { ensurePython } from "../src/provision/index.js";

const root = path.resolve(import.meta.dirname, "..");
const pythonFolder = path.join(root, "python");
const wanted = process.argv.slice(2);
const totals: Counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const python = await setUp();
const reports = await mkdtemp(path.join(tmpdir(), "espalier-test-"));

// Small models gain nothing from a second thread, and test files run side by side.
const oneThread = { OMP_NUM_THREADS: "1" };
const inPython = { cwd: pythonFolder, env: { PYTHONPATH: pythonFolder, ...oneThread } };
const vitestReport = path.join(reports, "vitest.json");
const pytestReport = path.join(reports, "pytest.xml");
const steps: Record<string, () => Promise<Counts>> = {
  biome: () => check("npx", ["biome", "check", "."]),
  // tslab brings a TypeScript of its own, whose command takes the same name.
  tsc: () => check("npm", ["run", "--silent", "tsc"]),
  contract: () => check("npx", ["jiti", "scripts/contract.ts", "--check"]),
  "ruff check": () => check(python, ["-m", "ruff", "check", "--config", "pyproject.toml", ".", "../scripts"], inPython),
  "ruff format": () =>
    check(python, ["-m", "ruff", "format", "--check", "--config", "pyproject.toml", ".", "../scripts"], inPython),
  mypy: () => check(python, ["-m", "mypy"], inPython),
  pytest: async () => {
    // A file's tests stay together: they share what is slow to make.
    const workers = ["-n", String(Math.min(8, availableParallelism())), "--dist", "loadfile"];
    const given = ["-m", "pytest", ...workers, `--junit-xml=${pytestReport}`, "--durations=5"];
    const code = await run(python, given, inPython);
    return counted(code, await readFile(pytestReport, "utf8").catch(() => ""), junitCounts);
  },
  vitest: async () => {
    const code = await run(
      "npx",
      ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${vitestReport}`],
      {
        env: { ESPALIER_PYTHON: python, ...oneThread },
      },
    );
    return counted(code, await readFile(vitestReport, "utf8").catch(() => ""), vitestCounts);
  },
};

const unknown = wanted.filter((name) => steps[name] === undefined);
if (unknown.length > 0) {
  console.log(`no step is called ${unknown.join(", ")}; there are: ${Object.keys(steps).join(", ")}`);
  add("the steps that were asked for", { passed: 0, failed: 1, skipped: 0 });
}
for (const [name, step] of Object.entries(steps)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n== ${name}`);
  const seconds = stopwatch();
  const counts = await step();
  add(name, counts);
  console.log(`== ${name}: ${counts.failed > 0 ? "failed" : "passed"} in ${seconds()} s`);
}
await rm(reports, { recursive: true, force: true });
if (failures.length > 0) console.log(`\nfailed: ${failures.join(", ")}`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
console.log(`\n${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exitCode = totals.failed > 0 ? 1 : 0;

/** The interpreter; without one no step can tell anything, so that its failure ends the script. */
async function setUp(): Promise<string> {
  console.log("== Python environment");
  const seconds = stopwatch();
  try {
    const told = { onProgress: (line: string) => console.log(`  ${line}`) };
    const environment = await ensurePython({ extras: "test", ...told });
    await addPackages(environment, ["smollm2"], told);
    console.log(`== Python environment: ready in ${seconds()} s`);
    return environment.python;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    console.log(`error: ${error.message}\n${error.mend ?? ""}\n\n0 passed, 1 failed`);
    process.exit(1);
  }
}

function stopwatch(): () => string {
  const started = performance.now();
  return () => ((performance.now() - started) / 1000).toFixed(1);
}

function add(name: string, counts: Counts): void {
  for (const key of ["passed", "failed", "skipped"] as const) totals[key] += counts[key];
  if (counts.failed > 0) failures.push(name);
}

async function run(
  command: string,
  given: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<number> {
  const result = await execa(command, given, {
    cwd: root,
    reject: false,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    ...options,
  });
  return result.exitCode ?? 1;
}

/** A step that is one test of its own. */
async function check(...given: Parameters<typeof run>): Promise<Counts> {
  const failed = (await run(...given)) === 0 ? 0 : 1;
  return { passed: 1 - failed, failed, skipped: 0 };
}

/** What a report counts; a runner that failed without a failed test counts as one. */
function counted(code: number, report: string, read: (report: string) => Counts): Counts {
  const counts = report === "" ? { passed: 0, failed: 0, skipped: 0 } : read(report);
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function junitCounts(xml: string): Counts {
  const number = (name: string) => Number(new RegExp(`<testsuite [^>]*\\b${name}="(\\d+)"`).exec(xml)?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  return { passed: number("tests") - failed - number("skipped"), failed, skipped: number("skipped") };
}

function vitestCounts(json: string): Counts {
  const report = JSON.parse(json) as { numPassedTests: number; numFailedTests: number; numPendingTests: number };
  return { passed: report.numPassedTests, failed: report.numFailedTests, skipped: report.numPendingTests };
}
