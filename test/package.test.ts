import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testPython } from "./python.js";

const root = path.resolve(import.meta.dirname, "..");
let folder: string;
let packed: string[];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-package-"));
  const { stdout } = await execa("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
    cwd: root,
  });
  const [report] = Object.values(JSON.parse(stdout)) as [{ filename: string; files: { path: string }[] }];
  packed = report.files.map((file) => file.path);
  await writeFile(path.join(folder, "package.json"), JSON.stringify({ name: "user", type: "module", private: true }));
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"))!;
  await execa("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`], { cwd: folder });
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test("the package holds both halves, the data with its attribution and the schemas, and no tests", () => {
  expect(packed).toEqual(
    expect.arrayContaining([
      "dist/cli/main.js",
      "dist/index.d.ts",
      "dist/charts/index.js",
      "dist/dashboard/app/index.html",
      "python/espalier_runtime/service.py",
      "python/espalier_runtime/contract.json",
      "python/espalier_runtime/embedded/ATTRIBUTION.md",
      "python/espalier_runtime/embedded/qnli.train.jsonl.gz",
      "python/requirements/runtime.lock",
      "schema/experiment.schema.json",
      "README.md",
      "LICENSE",
    ]),
  );
  expect(packed.filter((file) => /(^|\/)tests?\/|__pycache__|\.pyc$/.test(file))).toEqual([]);
});

test("its command runs where it is installed", async () => {
  const { stdout } = await execa("npx", ["espalier", "inspect", "minilm", "--json"], {
    cwd: folder,
    env: { ESPALIER_PYTHON: testPython() },
  });
  expect(JSON.parse(stdout)).toMatchObject({ family: "bert", layers: 6 });
});

test("a script that imports it type-checks under strict, and mistakes are compile errors", async () => {
  await copyFile(path.join(root, "test", "fixtures", "package", "experiment.ts"), path.join(folder, "experiment.ts"));
  const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--types", "node"];
  await execa("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "@types/node@20"], { cwd: folder });
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  const { exitCode, stdout } = await execa(process.execPath, [tsc, ...options, "experiment.ts"], {
    cwd: folder,
    reject: false,
  });
  expect(stdout).toBe("");
  expect(exitCode).toBe(0);
}, 120_000);
