import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { planExperiment } from "../../src/experiment/plan.js";
import { quickstart } from "../../src/experiment/presets.js";
import { findStructure } from "../../src/runs/find-structure.js";
import { createRunDirectory } from "../../src/runs/layout.js";
import { espalier } from "../cli/cli.js";
import { lora, structureOf } from "../fixtures/structure.js";

const first = structureOf([lora(0, "mlp.up", 0, 2)]);
const second = structureOf([lora(1, "mlp.up", 0, 2)]);
let folder: string;
let run: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-structures-"));
  run = await createRunDirectory(planExperiment(quickstart), folder);
  for (const [trial, structure] of [
    ["budgeted-seed1", first],
    ["uniform-seed0", second],
  ] as const) {
    await mkdir(path.join(run, "trials", trial), { recursive: true });
    await writeFile(path.join(run, "trials", trial, "structure.json"), JSON.stringify(structure));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ["its file", () => path.join(run, "trials", "uniform-seed0", "structure.json")],
  ["its trial's folder", () => path.join(run, "trials", "uniform-seed0")],
  ["RUN/TRIAL", () => path.join(run, "uniform-seed0")],
  ["latest and a trial", () => "latest/uniform-seed0"],
  ["the beginning of a run's name and a trial", () => "quickstart-/uniform-seed0"],
])("a structure is found by %s", async (_, given) => {
  expect((await findStructure(given(), folder)).structure).toEqual(second);
});

test("a run alone stands for the first finished trial of its answer", async () => {
  expect((await findStructure("latest", folder)).structure).toEqual(first);
});

test("a trial that is not there is answered with those that are", async () => {
  await expect(findStructure("latest/none", folder)).rejects.toThrow("no finished trial none");
  await expect(findStructure("latest/none", folder)).rejects.toMatchObject({
    code: "input",
    mend: expect.stringContaining("budgeted-seed0, budgeted-seed1, budgeted-seed2, head-seed0"),
  });
});

test("espalier structure draws one and compares two", async () => {
  const drawn = await espalier(["structure", "latest", "--runs", folder], { cwd: folder });
  expect(drawn.stdout).toContain(
    "snips, 200 parameters\nlayer   query     up\n    1       .      .\n    0       .      2",
  );
  const compared = await espalier(["structure", "latest", "latest/uniform-seed0", "--runs", folder, "--json"], {
    cwd: folder,
  });
  expect(JSON.parse(compared.stdout)).toMatchObject({
    candidates: { jaccard: 0 },
    moved: [{ layer: 0 }, { layer: 1 }],
  });
  expect((await espalier(["structure", "nowhere", "--runs", folder], { cwd: folder })).code).toBe(2);
});
