import { appendFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planExperiment } from "../../src/experiment/plan.js";
import { quickstart } from "../../src/experiment/presets.js";
import { followEvents } from "../../src/runs/follow.js";
import { createRunDirectory } from "../../src/runs/layout.js";
import { findRun, listRuns, readEvents, readPlan } from "../../src/runs/read.js";

const plan = planExperiment(quickstart);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-runs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a run directory", () => {
  test("is named after experiment, time and plan, and holds the plan", async () => {
    const directory = await createRunDirectory(plan, folder, new Date("2026-01-02T03:04:05Z"));
    expect(path.basename(directory)).toMatch(/^quickstart-20260102T030405Z-[0-9a-f]{8}$/);
    expect(await readPlan(directory)).toEqual(plan);
  });

  test("is another one for a second run in the same second", async () => {
    const now = new Date();
    const made = await Promise.all([1, 2, 3].map(() => createRunDirectory(plan, folder, now)));
    expect(new Set(made).size).toBe(3);
  });

  test("cannot be made where the folder is a file, and the message says so", async () => {
    await writeFile(path.join(folder, "file"), "");
    await expect(createRunDirectory(plan, path.join(folder, "file"))).rejects.toThrow("no run can be written to");
  });

  test("of a newer version is refused with its version", async () => {
    const directory = await createRunDirectory(plan, folder);
    await writeFile(path.join(directory, "plan.json"), JSON.stringify({ ...plan, version: 2 }));
    await expect(readPlan(directory)).rejects.toThrow("version 2 was written by a newer Espalier");
  });
});

describe("runs are found", () => {
  test("by path, name, beginning of a name, and latest", async () => {
    const first = await createRunDirectory({ ...plan, name: "alpha" }, folder);
    const second = await createRunDirectory({ ...plan, name: "beta" }, folder);
    expect(await findRun(first, folder)).toBe(first);
    expect(await findRun(path.basename(second), folder)).toBe(second);
    expect(await findRun("bet", folder)).toBe(second);
    expect(await findRun(path.join(folder, "bet"), "elsewhere")).toBe(second);
    expect([first, second]).toContain(await findRun("latest", folder));
  });

  test("and an unknown one is answered with the nearest", async () => {
    const directory = await createRunDirectory(plan, folder);
    const name = path.basename(directory);
    await expect(findRun("lates", folder)).rejects.toMatchObject({ mend: expect.stringContaining('"latest"') });
    await expect(findRun(`${name}x`, folder)).rejects.toMatchObject({
      code: "input",
      mend: expect.stringContaining(name),
    });
  });

  test("and where there is none, the way to the first is shown", async () => {
    await expect(findRun("latest", folder)).rejects.toMatchObject({ mend: expect.stringContaining("quickstart") });
  });

  test("a damaged one is listed as damaged, and breaks nothing", async () => {
    await createRunDirectory(plan, folder);
    await mkdir(path.join(folder, "broken"));
    await writeFile(path.join(folder, "broken", "plan.json"), '{"version":1,');
    await mkdir(path.join(folder, "not-a-run"));
    const runs = await listRuns(folder);
    expect(runs.map((run) => run.state).sort()).toEqual(["damaged", "interrupted"]);
  });
});

describe("events", () => {
  const event = (seq: number, type: "run.started" | "run.finished") =>
    JSON.stringify(
      type === "run.started"
        ? { seq, time: 1, type, trials: 2, directory: folder }
        : { seq, time: 2, type, status: "done" },
    );

  test("are read, and a torn last line is left out with a warning", async () => {
    await writeFile(path.join(folder, "events.jsonl"), `${event(1, "run.started")}\n{"seq":2,"ti`);
    const { events, warnings } = await readEvents(folder);
    expect(events.map((entry) => entry.seq)).toEqual([1]);
    expect(warnings).toEqual([expect.stringContaining("events.jsonl:2: not a whole event")]);
  });

  test("are followed while they are written, and end with the run", async () => {
    const directory = await createRunDirectory(plan, folder);
    const file = path.join(directory, "events.jsonl");
    await writer(directory, process.pid);
    const seen: number[] = [];
    const following = (async () => {
      for await (const entry of followEvents(directory)) seen.push(entry.seq);
    })();
    await writeFile(file, `${event(1, "run.started")}\n${event(2, "run.finished").slice(0, 20)}`);
    await expect.poll(() => seen).toEqual([1]);
    await appendFile(file, `${event(2, "run.finished").slice(20)}\n`);
    await following;
    expect(seen).toEqual([1, 2]);
  });

  test("of a run that was killed end with its last whole one", async () => {
    const directory = await createRunDirectory(plan, folder);
    const ended = await execa(process.execPath, ["-p", "process.pid"]);
    await writer(directory, Number(ended.stdout));
    await writeFile(path.join(directory, "events.jsonl"), `${event(1, "run.started")}\n{"seq":2,`);
    const seen: number[] = [];
    for await (const entry of followEvents(directory)) seen.push(entry.seq);
    expect(seen).toEqual([1]);
  });

  test("of what is no run are refused", async () => {
    await expect(followEvents(path.join(folder, "nothing")).next()).rejects.toMatchObject({ code: "input" });
  });

  function writer(directory: string, pid: number): Promise<void> {
    return writeFile(path.join(directory, "writer.lock"), JSON.stringify({ pid, host: hostname() }));
  }
});
