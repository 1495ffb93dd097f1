import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { MergeSchema, RunRecordSchema } from "../../src/experiment/records.js";
import { testPython } from "../python.js";
import { espalier, main } from "./cli.js";

// Each test starts Python and PyTorch anew, on a machine that other tests load as well.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const fixture = path.resolve(import.meta.dirname, "..", "fixtures", "small-experiment.json");
const small = JSON.parse(await readFile(fixture, "utf8"));
let folder: string;
let finished: Awaited<ReturnType<typeof espalier>>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-cli-"));
  finished = await espalier(["run", fixture, "--runs", "runs", "--json"], { cwd: folder });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function experiment(name: string, change: object): Promise<string> {
  await mkdir(path.join(folder, "experiments"), { recursive: true });
  const file = path.join(folder, "experiments", name);
  await writeFile(file, JSON.stringify({ ...small, ...change }));
  return file;
}

describe("espalier run --json", () => {
  test("prints one object, a run's record, and nothing else", () => {
    expect(finished.stderr).toBe("");
    expect(finished.code).toBe(0);
    const { failures, ...printed } = JSON.parse(finished.stdout);
    expect(failures).toEqual([]);
    const record = RunRecordSchema.parse(printed);
    expect(record.rows.map((row) => [row.task, row.method, row.seeds])).toEqual([
      ["snips", "saliency", 2],
      ["snips", "uniform", 2],
    ]);
    expect(record.exports).toMatchObject([{ task: "snips", to: "peft" }]);
    expect(record.exports[0]!.maxDifference).toBeLessThan(1e-5);
    expect(record.fullStepMs).toBeGreaterThan(0);
  });

  test("is followed by show, runs and export of the same run", async () => {
    const shown = await espalier(["show", "latest"], { cwd: folder });
    expect(shown.stdout).toContain("snips  accuracy x 100 on test, 2 seeds");
    expect(shown.stdout).toMatch(/^layer {3}query {3}down$/m);
    expect(
      Math.max(
        ...shown.stdout
          .split("\n")
          .filter((line) => !line.includes("/"))
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
    const runs = await espalier(["runs"], { cwd: folder });
    expect(runs.stdout).toMatch(
      /^small-\d{8}T\d{6}Z-[0-9a-f]{8}\n {2}done {9}snips \d+\.\d {2}\(saliency, uniform\)$/m,
    );
    const exported = await espalier(["export", "latest", "--to", "peft", "--output", "taken", "--json"], {
      cwd: folder,
    });
    expect(JSON.parse(exported.stdout).exports[0].maxDifference).toBeLessThan(1e-5);
    expect(await readdir(path.join(folder, "taken", "snips-peft"))).toContain("adapter_model.safetensors");
  });

  test("and by a merge of its trials, scored beside each", async () => {
    const trials = ["latest/saliency-seed0", "latest/saliency-seed1"];
    const merged = await espalier(["merge", ...trials, "--method", "ties", "--output", "taken", "--json"], {
      cwd: folder,
    });
    const merge = MergeSchema.parse(JSON.parse(merged.stdout));
    expect(merge).toMatchObject({ method: "ties", weight: 1, density: 0.2 });
    expect(merge.tasks.map(({ name, trial, split }) => [name, trial, split])).toEqual([
      ["snips-1", "saliency-seed0", "test"],
      ["snips-2", "saliency-seed1", "test"],
    ]);
    expect(await readdir(path.join(folder, "taken", "merge-ties", "heads"))).toEqual(["snips-1", "snips-2"]);
    const one = await espalier(["merge", "latest/saliency-seed0"], { cwd: folder });
    expect(one.stderr).toMatch(/^error: merge: one adapter only \("snips" of .*saliency-seed0\)/);
    expect(one.stderr).toContain("RUN/TRIAL");
    expect(one.code).toBe(2);
  });
});

describe("a TypeScript experiment", () => {
  test("runs wherever it lies, with its import of espalier and its relative paths", async () => {
    const home = path.join(folder, "elsewhere");
    await mkdir(path.join(home, "data"), { recursive: true });
    const rows = Array.from({ length: 40 }, (_, index) =>
      JSON.stringify({
        text: index % 2 === 0 ? `play song ${index}` : `rain in city ${index}`,
        label: index % 2 === 0 ? "music" : "weather",
      }),
    );
    await writeFile(path.join(home, "data", "train.jsonl"), rows.slice(0, 30).join("\n"));
    await writeFile(path.join(home, "data", "test.jsonl"), rows.slice(30).join("\n"));
    await writeFile(
      path.join(home, "experiment.ts"),
      `import { baselines, budget, defineExperiment, model, task } from "espalier";
export default defineExperiment({
  name: "typed",
  backbone: model.miniLM(),
  tasks: [task.files("topic", { train: "data/train.jsonl", test: "data/test.jsonl" })],
  space: { slots: ["attention.query"] },
  budget: budget.parameters("0.05%"),
  methods: [baselines.uniform(), baselines.head()],
  training: { maxSteps: 2 },
  seeds: 1,
});`,
    );
    const ended = await espalier(["run", path.join(home, "experiment.ts"), "--runs", "runs"], { cwd: folder });
    expect(ended.stderr).not.toContain("error");
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain("topic  accuracy x 100 on test, 1 seed");
  });
});

describe("wrong input ends with exit code 2 before any training, and leaves no run behind", () => {
  const rows: [string, object, string][] = [
    ["an unknown slot", { space: { slots: ["attention.querry"] } }, 'did you mean "attention.query"?'],
    ["a missing file", { tasks: [{ name: "t", source: "files", train: "no.jsonl", test: "no.jsonl" }] }, "no.jsonl"],
    ["a budget below the cheapest candidate", { budget: { parameters: 10 } }, "is below the cheapest candidate"],
    ["a budget above the whole space", { budget: { parameters: 9_000_000 } }, "is above the whole space"],
    ["a model folder without weights", { backbone: { source: "folder", path: "." } }, "config.json"],
    ["cuda where there is none", { training: { device: "cuda" } }, "torch finds no CUDA device"],
  ];
  test.each(rows)("%s", async (name, change, message) => {
    const file = await experiment(`${name.replaceAll(" ", "-")}.json`, change);
    const ended = await espalier(["run", file, "--runs", "wrong"], { cwd: folder, env: { CUDA_VISIBLE_DEVICES: "" } });
    expect(ended.stderr).toContain(message);
    expect(ended.code).toBe(2);
    expect(await readdir(path.join(folder, "wrong")).catch(() => [])).toEqual([]);
  });

  test("a file that is not JSON, with line and column", async () => {
    await writeFile(path.join(folder, "broken.json"), '{\n  "name": "x",\n  oops\n}');
    const ended = await espalier(["run", "broken.json"], { cwd: folder });
    expect(ended.stderr).toContain("broken.json:3:3: is not JSON");
    expect(ended.code).toBe(2);
  });

  test("a module without a default export", async () => {
    await writeFile(path.join(folder, "empty.ts"), "export const x: number = 1;\n");
    const ended = await espalier(["run", "empty.ts"], { cwd: folder });
    expect(ended.stderr).toContain("empty.ts: has no experiment as its default export");
    expect(ended.code).toBe(2);
  });

  test("a runs folder that is a file", async () => {
    await writeFile(path.join(folder, "occupied"), "");
    const ended = await espalier(["run", fixture, "--runs", "occupied", "--json"], { cwd: folder });
    expect(JSON.parse(ended.stdout).error.message).toContain("no run can be written to");
    expect(ended.code).toBe(2);
  });

  test("a Python that cannot be used", async () => {
    const env = { ESPALIER_PYTHON: "/bin/false" };
    const ended = await espalier(["run", fixture, "--runs", "wrong"], { cwd: folder, env });
    expect(ended.stderr).toContain("/bin/false");
    expect(ended.code).toBe(2);
    expect(await readdir(path.join(folder, "wrong")).catch(() => [])).toEqual([]);
  });

  test("a file beside --resume", async () => {
    const ended = await espalier(["run", fixture, "--resume", "latest"], { cwd: folder });
    expect(ended.stderr).toContain("--resume were both given");
    expect(ended.code).toBe(2);
  });

  test("words that the command line does not know", async () => {
    for (const words of [["rnu"], ["show"], ["export", "x", "--to", "onnxx"], ["run", "--bogus"]]) {
      expect((await espalier(words, { cwd: folder })).code).toBe(2);
    }
  });

  test("a run that does not exist", async () => {
    const ended = await espalier(["show", "nothing"], { cwd: folder });
    expect(ended.stderr).toContain('run: "nothing" is neither a run directory nor a run in');
    expect(ended.code).toBe(2);
  });
});

describe("a run that ends early", () => {
  const long = {
    methods: [{ method: "uniform" }, { method: "head" }],
    training: { epochs: 200, batchSize: 8, maxLength: 24 },
  };

  test("on Ctrl-C stops after the step, says how to resume, and resumes", async () => {
    const file = await experiment("long.json", {
      ...long,
      methods: [{ method: "head" }, { method: "uniform" }],
      seeds: [0],
    });
    const child = spawn(process.execPath, [main, "run", file, "--runs", "stopped"], {
      cwd: folder,
      env: { ...process.env, ESPALIER_PYTHON: testPython() },
    });
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const directory = await trialBegins(path.join(folder, "stopped"), "uniform-seed0");
    child.kill("SIGINT");
    const code = await new Promise((resolve) => child.on("exit", resolve));
    expect(code).toBe(130);
    expect(stderr).toContain("The run was interrupted.");
    expect(stderr).toMatch(/Continue with: espalier run --resume stopped\/small-/);
    const plan = JSON.parse(await readFile(path.join(directory, "plan.json"), "utf8"));
    await writeFile(
      path.join(directory, "plan.json"),
      JSON.stringify({ ...plan, training: { ...plan.training, maxSteps: 3 } }),
    );
    const resumed = await espalier(["run", "--resume", "latest", "--runs", "stopped", "--json"], { cwd: folder });
    expect(JSON.parse(resumed.stdout).status).toBe("done");
    expect(resumed.code).toBe(0);
  });

  test("by kill -9 leaves a run that is listed as interrupted and that a second process may write", async () => {
    const file = await experiment("killed.json", { ...long, seeds: [0] });
    const child = spawn(process.execPath, [main, "run", file, "--runs", "killed"], {
      cwd: folder,
      env: { ...process.env, ESPALIER_PYTHON: testPython() },
      stdio: "ignore",
    });
    const directory = await trialBegins(path.join(folder, "killed"), "uniform-seed0");
    const writer = JSON.parse(await readFile(path.join(directory, "writer.lock"), "utf8")).pid as number;
    child.kill("SIGKILL");
    await gone(writer);
    const runs = JSON.parse((await espalier(["runs", "killed", "--json"], { cwd: folder })).stdout);
    expect(runs.runs[0].state).toBe("interrupted");
    const plan = JSON.parse(await readFile(path.join(directory, "plan.json"), "utf8"));
    await writeFile(
      path.join(directory, "plan.json"),
      JSON.stringify({ ...plan, training: { ...plan.training, maxSteps: 3 } }),
    );
    expect((await espalier(["run", "--resume", "latest", "--runs", "killed"], { cwd: folder })).code).toBe(0);
  });
});

/** The directory of the only run in `runs`, once its trial has begun to train. */
async function trialBegins(runs: string, trial: string): Promise<string> {
  for (;;) {
    const [name] = await readdir(runs).catch(() => []);
    const events =
      name === undefined
        ? ""
        : await readFile(path.join(runs, name, "trials", trial, "events.jsonl"), "utf8").catch(() => "");
    if (events.includes('"stage":"fit"')) return path.join(runs, name!);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
