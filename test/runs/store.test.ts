import { appendFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readGates } from "../../src/runs/gates.js";
import { openStore, type RunStore } from "../../src/runs/store/store.js";
import { views } from "../../src/runs/store/views.js";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";

describe("a store over two runs", () => {
  let folder: string;
  let store: RunStore;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "espalier-store-"));
    await writeSyntheticRun(folder, { name: "whole", seeds: 2, steps: 20 });
    await writeSyntheticRun(folder, { name: "under-way", seeds: 2, steps: 20, finished: 0.5, pid: process.pid });
    store = await openStore(folder);
  });
  afterAll(async () => {
    store.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("lists both with their states", async () => {
    const runs = await store.runs();
    expect(Object.fromEntries(runs.map((run) => [run.run, run.state]))).toEqual({
      whole: "done",
      "under-way": "running",
    });
    expect(runs[0]!.started).toBeInstanceOf(Date);
  });

  test("gives the results and comparisons of the record", async () => {
    const record = JSON.parse(await readFile(path.join(folder, "whole", "record.json"), "utf8"));
    const results = await store.results();
    expect(results.map(({ task, method, mean, ci95_high }) => [task, method, mean, ci95_high])).toEqual(
      [...record.rows, ...record.overTasks.rows].map(
        (row: { task: string | null; method: string; mean: number; ci95: number[] }) => [
          row.task,
          row.method,
          row.mean,
          row.ci95[1],
        ],
      ),
    );
    const comparisons = await store.comparisons();
    expect(comparisons.map(({ b, p_adjusted }) => [b, p_adjusted])).toEqual(
      [...record.comparisons, ...record.overTasks.comparisons].map((entry: { b: string; pAdjusted: number }) => [
        entry.b,
        entry.pAdjusted,
      ]),
    );
  });

  test("gives the gates of a run as they were written", async () => {
    const gates = (await store.gates("whole")).filter((gate) => gate.trial === "budgeted-seed0");
    const written = await readGates(path.join(folder, "whole"), "budgeted-seed0");
    const { steps, tasks, candidates, values } = written!;
    expect(gates).toHaveLength(steps.length * tasks.length * candidates.length);
    const last = gates.filter((gate) => gate.step === steps.at(-1) && gate.task === tasks[1]);
    expect(last.map((gate) => gate.value)).toEqual(values.at(-1)![1]);
  });

  test("answers queries over every view, with numbers, dates and lists", async () => {
    for (const { name, columns } of views) {
      const { columns: found } = await store.query(`SELECT * FROM ${name} LIMIT 1`);
      expect(found).toEqual(expect.arrayContaining(Object.keys(columns)));
    }
    const [answer] = await store.sql<{ n: number; tasks: string[] }>(
      "SELECT count(*) AS n, any_value(tasks) AS tasks FROM runs JOIN trials USING (run) WHERE run = $1 AND status = 'done'",
      "whole",
    );
    expect(answer).toEqual({ n: 12, tasks: ["snips", "qnli"] });
  });

  test("says what is wrong with a query, and which views there are", async () => {
    await expect(store.sql("SELECT nothing FROM runs")).rejects.toMatchObject({
      code: "input",
      message: expect.stringContaining('Referenced column "nothing" not found'),
      mend: expect.stringContaining("runs, results, comparisons"),
    });
  });
});

describe("damage never breaks a query", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "espalier-store-[x]'"));
    await writeSyntheticRun(folder, { name: "good", seeds: 1, steps: 5 });
    await writeSyntheticRun(folder, { name: "bad", seeds: 1, steps: 5 });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const bad = (...parts: string[]) => path.join(folder, "bad", ...parts);
  const counts = (store: RunStore, view: string) =>
    store.sql(`SELECT run, count(*)::INTEGER AS n FROM ${view} GROUP BY run ORDER BY run`);

  test("of a plan, a record, or of none at all: the run is listed with its state and problem", async () => {
    await writeFile(bad("plan.json"), '{"version": 1, "na');
    await mkdir(path.join(folder, "no-run"));
    await using store = await openStore(folder);
    const [run] = await store.sql("SELECT state, problem FROM runs WHERE run = 'bad'");
    expect(run).toEqual({ state: "damaged", problem: expect.stringContaining("plan.json: cannot be read") });
    expect(await store.runs()).toHaveLength(2);
    expect(await counts(store, "results")).toEqual([{ run: "good", n: 18 }]);
    await expect(store.gates("bad")).rejects.toThrow("plan.json: cannot be read");
  });

  test("of a newer version: refused with its version, and nothing of it is read", async () => {
    const plan = JSON.parse(await readFile(bad("plan.json"), "utf8"));
    await writeFile(bad("plan.json"), JSON.stringify({ ...plan, version: 7 }));
    await using store = await openStore(folder);
    const [run] = await store.sql("SELECT state, problem FROM runs WHERE run = 'bad'");
    expect(run).toEqual({ state: "newer", problem: expect.stringContaining("version 7 was written by a newer") });
    expect((await counts(store, "trials")).map((row) => row.run)).toEqual(["good"]);
    await expect(store.gates("bad")).rejects.toThrow("version 7 was written by a newer Espalier");
  });

  test("of a trial's result: the trial is listed as damaged", async () => {
    await writeFile(bad("trials", "budgeted-seed0", "result.json"), '{"version": 1, "tri');
    await using store = await openStore(folder);
    expect(await store.sql("SELECT run, trial FROM trials WHERE status = 'damaged'")).toEqual([
      { run: "bad", trial: "budgeted-seed0" },
    ]);
    expect((await counts(store, "scores")).map((row) => row.n)).toEqual([10, 12]);
  });

  test("of a Parquet file, cut short or with wrong bytes inside: it is left out and named", async () => {
    const cut = bad("trials", "budgeted-seed0", "gates.parquet");
    const size = (await readFile(cut)).length;
    await truncate(cut, Math.floor(size / 2));
    const store = await openStore(folder);
    expect((await counts(store, "gates")).map((row) => row.run)).toEqual(["good"]);
    expect(store.leftOut).toEqual([cut]);
    expect(await store.gates("bad")).toEqual([]);
    store.close();

    const whole = await readFile(path.join(folder, "good", "trials", "budgeted-seed0", "gates.parquet"));
    whole.fill(0xff, 4, Math.floor(whole.length / 2));
    await writeFile(cut, whole);
    await using again = await openStore(folder);
    expect(await again.sql("SELECT DISTINCT run FROM gates WHERE value >= 0")).toEqual([{ run: "good" }]);
    expect(again.leftOut).toEqual([cut]);
  });

  test("of a torn last line: the events before it stand", async () => {
    await using before = await openStore(folder);
    const [{ n }] = (await counts(before, "events")) as [{ n: number }];
    await appendFile(bad("events.jsonl"), '{"seq": 99999, "ti');
    await using store = await openStore(folder);
    expect((await counts(store, "events"))[0]).toEqual({ run: "bad", n });
  });

  test("and a folder that holds nothing has every view, empty", async () => {
    await using store = await openStore(path.join(folder, "nothing"));
    for (const { name } of views) expect(await store.sql(`SELECT * FROM ${name}`)).toEqual([]);
  });
});
