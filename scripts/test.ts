/**
 * npm test: every check and test of both halves, all of them even if one fails, and a last line "N passed, N failed".
 *
 *     npm test            npm test -- vitest pytest      (only these steps)
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { ensurePython } from "../src/provision/index.js";

const root = path.resolve(import.meta.dirname, "..");
const pythonFolder = path.join(root, "python");
const wanted = process.argv.slice(2);
const reports = await mkdtemp(path.join(tmpdir(), "espalier-test-"));

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

console.log("Python environment of the tests");
const { python } = await ensurePython({ extras: "test", onProgress: (line) => console.log(`  ${line}`) });

const inPython = { cwd: pythonFolder, env: { PYTHONPATH: pythonFolder } };
const vitestReport = path.join(reports, "vitest.json");
const pytestReport = path.join(reports, "pytest.xml");
const steps: Record<string, () => Promise<Counts>> = {
  biome: () => check("npx", ["biome", "check", "."]),
  tsc: () => check("npx", ["tsc"]),
  contract: () => check("npx", ["jiti", "scripts/contract.ts", "--check"]),
  "ruff check": () => check(python, ["-m", "ruff", "check", "--config", "pyproject.toml", ".", "../scripts"], inPython),
  "ruff format": () =>
    check(python, ["-m", "ruff", "format", "--check", "--config", "pyproject.toml", ".", "../scripts"], inPython),
  mypy: () => check(python, ["-m", "mypy"], inPython),
  pytest: async () => {
    const code = await run(python, ["-m", "pytest", `--junit-xml=${pytestReport}`, "--durations=5"], inPython);
    return counted(code, await readFile(pytestReport, "utf8").catch(() => ""), junitCounts);
  },
  vitest: async () => {
    const code = await run(
      "npx",
      ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${vitestReport}`],
      {
        env: { ESPALIER_PYTHON: python },
      },
    );
    return counted(code, await readFile(vitestReport, "utf8").catch(() => ""), vitestCounts);
  },
};

const totals: Counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
for (const [name, step] of Object.entries(steps)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n== ${name}`);
  const started = performance.now();
  const counts = await step();
  for (const key of ["passed", "failed", "skipped"] as const) totals[key] += counts[key];
  if (counts.failed > 0) failures.push(name);
  console.log(
    `== ${name}: ${counts.failed > 0 ? "failed" : "passed"} in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
}
await rm(reports, { recursive: true, force: true });
if (failures.length > 0) console.log(`\nfailed: ${failures.join(", ")}`);
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
console.log(`\n${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exitCode = totals.failed > 0 ? 1 : 0;

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
