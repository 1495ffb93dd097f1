import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { comparable, readSide, type Side } from "../../src/runs/comparable.js";
import { espalier } from "../cli/cli.js";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";

let folder: string;
let side: Side;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-comparable-"));
  for (const name of ["first", "second"]) {
    const directory = await writeSyntheticRun(folder, { directory: name, steps: 2 });
    const lock = JSON.parse(await readFile(path.join(directory, "lock.json"), "utf8"));
    const hashes = { model: "m", data: { snips: "d", qnli: "d" }, evaluation: { snips: "e", qnli: "e" } };
    await writeFile(path.join(directory, "lock.json"), JSON.stringify({ ...lock, hashes }));
  }
  side = await readSide(path.join(folder, "first"), undefined);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const other = (changes: Partial<Side>): Side => ({ ...structuredClone(side), name: "second/budgeted", ...changes });

describe("a side", () => {
  test("is the run's answer, or the method that was named", async () => {
    expect([side.method, side.name]).toEqual(["budgeted", "first/budgeted"]);
    expect((await readSide(path.join(folder, "first"), "uniform")).name).toBe("first/uniform");
  });

  test("that the run does not have is refused with the nearest", async () => {
    await expect(readSide(path.join(folder, "first"), "unifrom")).rejects.toMatchObject({
      message: expect.stringContaining('first: it has no method "unifrom"; it has budgeted, saliency, uniform'),
      mend: 'Did you mean "first/uniform"?',
    });
  });

  test("of a run that has not ended is refused", async () => {
    const directory = await writeSyntheticRun(folder, { directory: "half", steps: 2, finished: 0.5 });
    await expect(readSide(directory, undefined)).rejects.toThrow("half: the run has not ended");
  });

  test("of a run that does not say what it used is refused", async () => {
    const directory = await writeSyntheticRun(folder, { directory: "unsaid", steps: 2 });
    await expect(readSide(directory, undefined)).rejects.toThrow("it does not say which model and rows were used");
  });
});

describe("two sides", () => {
  test("of equal runs share tasks and seeds, and nothing differs", () => {
    expect(comparable(side, other({}))).toEqual({ tasks: ["snips", "qnli"], seeds: [0, 1, 2], differs: [] });
  });

  test("may differ in what is compared: it is listed", () => {
    const changed = other({ hashes: { ...side.hashes, data: { snips: "other", qnli: "d" } } });
    changed.plan.budget.parameters = 0.001;
    changed.plan.training.learningRate = 0.01;
    expect(comparable(side, changed).differs).toEqual([
      "budget.parameters: 0.005 / 0.001",
      `training.learningRate: ${side.plan.training.learningRate} / 0.01`,
      "rows of train.snips",
    ]);
  });

  test("of which some tasks and seeds are in both are compared on those", () => {
    const fewer = other({});
    fewer.plan.tasks = fewer.plan.tasks.slice(1);
    fewer.plan.seeds = [2, 3];
    expect(comparable(side, fewer)).toMatchObject({ tasks: ["qnli"], seeds: [2] });
  });

  test.each<[string, (changed: Side) => void, string]>([
    [
      "other weights",
      (b) => {
        b.hashes.model = "n";
      },
      "backbone: they are of different weights",
    ],
    [
      "other evaluation rows",
      (b) => {
        b.hashes.evaluation.qnli = "f";
      },
      'task "qnli": its evaluation rows differ',
    ],
    [
      "other rows where an earlier Espalier hashed all in one",
      (b) => {
        b.hashes.evaluation = {};
        b.hashes.data.snips = "x";
      },
      'task "snips": its rows differ, and a run does not say whether those of the evaluation do',
    ],
    [
      "another metric",
      (b) => {
        b.record.rows[0]!.metric = "f1";
      },
      'task "snips": its metric is accuracy there, f1 here',
    ],
    [
      "another split",
      (b) => {
        b.record.rows[0]!.split = "validation";
      },
      'task "snips": it was scored on test there, on validation here',
    ],
    [
      "no seed in common",
      (b) => {
        b.plan.seeds = [7];
      },
      "seeds: none is in both; 0, 1, 2 there, 7 here",
    ],
    [
      "no task in common",
      (b) => {
        b.plan.tasks = b.plan.tasks.slice(0, 1).map((task) => ({ ...task, name: "else" }));
      },
      "tasks: none is in both; snips, qnli there, else here",
    ],
    [
      "themselves",
      (b) => {
        b.name = "first/budgeted";
      },
      "they are the same trials",
    ],
  ])("with %s are refused", (_, change, reason) => {
    const changed = other({});
    change(changed);
    expect(() => comparable(side, changed)).toThrow(`cannot be compared: ${reason}`);
  });
});

test("espalier compare refuses with exit code 2 before Python starts, and says all reasons", async () => {
  const file = path.join(folder, "second", "lock.json");
  const lock = JSON.parse(await readFile(file, "utf8"));
  lock.hashes.model = "n";
  lock.hashes.evaluation.snips = "f";
  await writeFile(file, JSON.stringify(lock));
  const { code, stderr } = await espalier(["compare", "first", "second/uniform", "--runs", "."], {
    cwd: folder,
    env: { ESPALIER_PYTHON: "/none" },
  });
  expect(stderr).toContain(
    'error: first/budgeted and second/uniform cannot be compared: backbone: they are of different weights; task "snips": its evaluation rows differ\n',
  );
  expect(code).toBe(2);
});
