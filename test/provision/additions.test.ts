import { writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { additionsFor, addPackages } from "../../src/provision/additions.js";
import { ensurePython } from "../../src/provision/ensure.js";
import { type SmallSetUp, smallSetUp } from "./environment.js";

let small: SmallSetUp;
beforeEach(async () => {
  small = await smallSetUp();
});
afterEach(() => small.remove());

test("an experiment needs what its backbone and its kinds of tasks need, and usually nothing", () => {
  expect(additionsFor({ backbone: { source: "embedded", name: "minilm" }, tasks: [{ kind: "regression" }] })).toEqual(
    [],
  );
  expect(additionsFor({ backbone: { source: "folder" } })).toEqual([]);
  expect(additionsFor({ backbone: { source: "folder" }, exports: "peft" })).toEqual([]);
  expect(additionsFor({ backbone: { source: "folder" }, exports: "onnx" })).toEqual(["onnx"]);
  expect(
    additionsFor({
      backbone: { source: "embedded", name: "smollm2" },
      tasks: [{ kind: "classification" }, { kind: "generation" }],
    }),
  ).toEqual(["smollm2", "generation"]);
});

test("an addition is installed once, alone, and again where its versions change", async () => {
  const environment = await ensurePython(small.options);
  const lines: string[] = [];
  const options = { env: small.options.env, folder: small.folder, onProgress: (line: string) => lines.push(line) };
  const requirements = path.join(small.folder, "generation.lock");
  const version = async () =>
    (await execa(environment.python, ["-c", "import absl; print(absl.__file__)"], { reject: false })).exitCode;

  await writeFile(requirements, "absl-py==2.5.1\n");
  expect(await version()).toBe(1);
  await Promise.all([
    addPackages(environment, ["generation"], options),
    addPackages(environment, ["generation"], options),
  ]);
  expect(await version()).toBe(0);
  await addPackages(environment, ["generation"], options);
  expect(lines.filter((line) => line.includes("adding"))).toEqual(["Python environment: adding absl-py"]);

  await writeFile(requirements, "# again\nabsl-py==2.5.1\n");
  await addPackages(environment, ["generation"], options);
  expect(lines.filter((line) => line.includes("adding"))).toHaveLength(2);
});

test("an interpreter of the user's own is left as it is", async () => {
  const environment = {
    python: "/absent/bin/python",
    version: "3.12.0",
    origin: "ESPALIER_PYTHON" as const,
    warnings: [],
  };
  await addPackages(environment, ["generation"], { folder: small.folder });
});
