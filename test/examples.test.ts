import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { loadExperiment } from "../src/cli/experiment-file.js";
import { planExperiment } from "../src/experiment/plan.js";
import { commandNames } from "./cli/cli.js";

const root = path.resolve(import.meta.dirname, "..");
const examples = (await readdir(path.join(root, "examples"))).filter((name) => /\.(ts|json)$/.test(name));

test.each(examples)("examples/%s can be planned", async (name) => {
  const experiment = await loadExperiment(path.join(root, "examples", name));
  expect(planExperiment(experiment).trials.length).toBeGreaterThan(0);
});

describe("the README", async () => {
  const readme = await readFile(path.join(root, "README.md"), "utf8");

  test("shows an experiment that can be planned", async () => {
    const [, code] = /```ts\n(\/\/ experiment\.ts[\s\S]*?)```/.exec(readme)!;
    const file = path.join(root, "test", "fixtures", "readme-experiment.ts");
    expect(code).toBe(await readFile(file, "utf8"));
    expect(planExperiment(await loadExperiment(file)).methods).toHaveLength(5);
  });

  test("names only commands that exist", async () => {
    const commands = new Set([...readme.matchAll(/espalier ([a-z]+)/g)].map((match) => match[1]));
    const known = await commandNames();
    expect([...commands].filter((name) => !known.includes(name!))).toEqual([]);
  });

  test("links to files that exist", async () => {
    for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      await expect(readFile(path.join(root, target!)), target).resolves.toBeDefined();
    }
  });
});
