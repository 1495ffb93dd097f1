import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";
import { espalier } from "./cli.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-robustness-"));
  await writeSyntheticRun(folder, { directory: "whole", steps: 5 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("espalier robustness refuses before Python starts", () => {
  const rows: [string, string[], string][] = [
    ["an unknown noise", ["--noise", "inputs"], "robustness: perturbations"],
    ["a ratio above 100 %", ["--ratios", "5,120"], "robustness: ratios"],
    ["a ratio that is no number", ["--ratios", "five"], "robustness: ratios"],
    ["a ratio given twice", ["--ratios", "5,5"], "robustness: ratios"],
    ["no rows", ["--rows", "0"], "a whole number above 0"],
  ];
  test.each(rows)("%s", async (_, options, message) => {
    const ended = await espalier(["robustness", path.join(folder, "whole"), ...options]);
    expect(ended.stderr).toContain(message);
    expect(ended.code).toBe(2);
  });
});
