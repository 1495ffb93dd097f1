import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, expect, expectTypeOf, test } from "vitest";
import { type ComparisonTableRow, openRun, type PredictionTableRow, type ResultTableRow } from "../../src/index.js";
import { readComparisonTable, readPredictions, readResultTable } from "../../src/runs/tables.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "espalier-tables-"));
  await mkdir(path.join(directory, "trials", "t"), { recursive: true });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const comparison = {
  task: "trec",
  a: "budgeted",
  b: "uniform",
  difference: 0.01,
  ci95_low: -0.01,
  ci95_high: 0.03,
  p: 0.2,
  p_adjusted: 0.4,
  verdict: "cannot be told apart",
  detectable: 0.05,
};

function write(name: string, columns: Record<string, unknown[]>): Promise<void> {
  const columnData = Object.entries(columns).map(([key, data]) => ({ name: key, data }));
  return writeFile(path.join(directory, name), Buffer.from(parquetWriteBuffer({ columnData })));
}
const columnsOf = (row: object) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, [value]]));

test("rows have types, and not any", () => {
  const run = openRun(directory);
  expectTypeOf(run.results).returns.resolves.toEqualTypeOf<ResultTableRow[] | undefined>();
  expectTypeOf(run.comparisons).returns.resolves.toEqualTypeOf<ComparisonTableRow[] | undefined>();
  expectTypeOf(run.predictions).returns.resolves.toEqualTypeOf<PredictionTableRow[] | undefined>();
  expectTypeOf<ResultTableRow["mean"]>().toEqualTypeOf<number | null>();
  expectTypeOf<ComparisonTableRow["verdict"]>().toEqualTypeOf<"better" | "worse" | "cannot be told apart">();
  expectTypeOf<PredictionTableRow["outputs"]>().toEqualTypeOf<number[]>();
});

test("rows are read as they were written", async () => {
  await write("comparisons.parquet", columnsOf(comparison));
  expect(await readComparisonTable(directory)).toEqual([comparison]);
});

test("a column that may be null and that an earlier Espalier did not write is null", async () => {
  const { detectable, ...earlier } = comparison;
  await write("comparisons.parquet", columnsOf(earlier));
  expect(await readComparisonTable(directory)).toEqual([{ ...earlier, detectable: null }]);
});

test("a table that Python wrote without rows has none", async () => {
  const empty = path.join(import.meta.dirname, "..", "fixtures", "comparisons-of-nothing.parquet");
  await copyFile(empty, path.join(directory, "comparisons.parquet"));
  expect(await readComparisonTable(directory)).toEqual([]);
});

test("what is not there yet is undefined", async () => {
  expect(await readResultTable(directory)).toBeUndefined();
  expect(await readPredictions(directory, "t")).toBeUndefined();
});

test("whole numbers are numbers, and lists are arrays", async () => {
  const columns = { task: ["a"], row: [0n], label: [1.5], prediction: [1], outputs: [[0.25, 0.75]] };
  await write("trials/t/predictions.parquet", columns);
  expect(await readPredictions(directory, "t")).toEqual([
    // A run of an earlier Espalier has no texts.
    { task: "a", row: 0, label: 1.5, prediction: 1, outputs: [0.25, 0.75], text: null, reference: null },
  ]);
});

test("a wrong value and a missing column are refused with row, column and file", async () => {
  await write("comparisons.parquet", columnsOf({ ...comparison, verdict: "splendid" }));
  await expect(readComparisonTable(directory)).rejects.toMatchObject({
    code: "input",
    message: expect.stringMatching(/comparisons\.parquet: cannot be read: 0\.verdict: Invalid option/),
  });
  const { p, ...without } = comparison;
  await write("comparisons.parquet", columnsOf(without));
  await expect(readComparisonTable(directory)).rejects.toThrow("comparisons.parquet: cannot be read: 0.p:");
});

test("a damaged file is named", async () => {
  await writeFile(path.join(directory, "results.parquet"), "PAR1 and no more");
  await expect(readResultTable(directory)).rejects.toThrow(/results\.parquet: cannot be read/);
});
