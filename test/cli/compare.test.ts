import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";
import { espalier } from "./cli.js";

// Python and PyTorch start anew, on a machine that other tests load as well.
vi.setConfig({ testTimeout: 300_000 });

const items = 100;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-compare-"));
  // Of 100 rows the answer of the first gets 90, that of the second 80; a seed more turns one of them wrong.
  for (const [directory, right] of [
    ["first", 90],
    ["second", 80],
  ] as const) {
    const run = await writeSyntheticRun(folder, { directory, steps: 2, seeds: 2 });
    const lock = JSON.parse(await readFile(path.join(run, "lock.json"), "utf8"));
    const hashes = { model: "m", data: { snips: directory, qnli: "d" }, evaluation: { snips: "e", qnli: "e" } };
    await writeFile(path.join(run, "lock.json"), JSON.stringify({ ...lock, hashes }));
    for (const seed of [0, 1]) await writePredictions(path.join(run, "trials", `budgeted-seed${seed}`), right - seed);
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function writePredictions(trial: string, right: number): Promise<void> {
  const rows = ["snips", "qnli"].flatMap((task) => Array.from({ length: items }, (_, row) => ({ task, row })));
  const columnData = [
    { name: "task", data: rows.map(({ task }) => task) },
    { name: "row", data: rows.map(({ row }) => BigInt(row)) },
    { name: "label", data: rows.map(() => 1), type: "DOUBLE" as const },
    { name: "prediction", data: rows.map(({ row }) => (row < right ? 1 : 0)), type: "DOUBLE" as const },
  ];
  return writeFile(path.join(trial, "predictions.parquet"), Buffer.from(parquetWriteBuffer({ columnData })));
}

test("espalier compare tells two runs apart where it can, over the tasks too, and lists what else differs", async () => {
  const { code, stdout, stderr } = await espalier(["compare", "first", "second", "--runs", ".", "--json"], {
    cwd: folder,
  });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const found = JSON.parse(stdout);
  expect([found.a.name, found.b.name, found.seeds]).toEqual(["first/budgeted", "second/budgeted", [0, 1]]);
  expect(found.differs).toEqual(["rows of train.snips"]);
  const all = [...found.comparisons, ...found.overTasks];
  expect(all.map((entry) => [entry.task, entry.difference.toFixed(4)])).toEqual([
    ["snips", "0.1000"],
    ["qnli", "0.1000"],
    [null, "0.1000"],
  ]);
  for (const entry of all) {
    expect(entry.ci95[0]).toBeGreaterThan(0);
    expect(entry.verdict).toBe("better");
  }
  // Both tasks hold the same predictions, so that their mean has half the variance.
  expect(all[2].ci95[1] - 0.1).toBeCloseTo((all[0].ci95[1] - 0.1) / Math.sqrt(2), 2);

  const shown = await espalier(["compare", "first", "second", "--runs", "."], { cwd: folder });
  expect(shown.stdout).toMatch(/^task +difference +95% interval +adjusted +could see +verdict\nsnips +\+10\.0 /m);
  expect(shown.stdout).toContain("a less b  in points, paired by 2 seeds and by item");
  expect(shown.stdout).toContain("what else differs (a / b):\n  rows of train.snips");
});
