import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  baselines,
  budget,
  defineExperiment,
  type Event,
  model,
  openRun,
  openStore,
  run,
  search,
  task,
} from "../src/index.js";

// Python and PyTorch start anew, on a machine that other tests load as well.
vi.setConfig({ testTimeout: 300_000 });

const experiment = defineExperiment({
  name: "small",
  backbone: model.miniLM(),
  tasks: [task.embedded("snips")],
  space: { slots: ["attention.query"] },
  budget: budget.parameters(6000),
  methods: [search.saliency({ batches: 1 }), baselines.head()],
  training: { maxSteps: 2, batchSize: 8, maxLength: 16 },
  seeds: 1,
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-run-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a run tells its events to its caller and to whoever follows the directory, and can be opened afterwards", async () => {
  const told: Event[] = [];
  let followed: Promise<Event[]> = Promise.resolve([]);
  const record = await run(experiment, {
    runsFolder: folder,
    onEvent: (event) => told.push(event),
    onDirectory: (directory) => {
      followed = all(openRun(directory).events());
    },
  });
  expect(record.status).toBe("done");
  expect(told.map((event) => event.seq)).toEqual(told.map((_, index) => index + 1));
  expect(told.at(0)?.type).toBe("run.started");
  expect(told.at(-1)?.type).toBe("run.finished");
  expect(await followed).toEqual(told);

  const opened = openRun(record.run);
  expect(await opened.record()).toEqual(record);
  expect((await opened.plan()).trials.map((trial) => trial.id)).toEqual(["saliency-seed0", "head-seed0"]);
  const structure = await opened.structure("saliency-seed0");
  expect(structure?.parameters.union).toBe(record.rows[0]?.parameters.union);
  expect(await opened.structure("none-such")).toBeUndefined();
  expect(await readdir(record.run)).toContain("report.html");

  await using store = await openStore(folder);
  const inRun = { run: path.basename(record.run) };
  const results = (await opened.results())!;
  expect(results.map(({ method, mean }) => [method, mean])).toEqual(record.rows.map((row) => [row.method, row.mean]));
  expect(results.map((row) => ({ ...inRun, ...row }))).toEqual(await store.results());
  const comparisons = (await opened.comparisons())!;
  expect(comparisons.map((row) => ({ ...inRun, ...row }))).toEqual(await store.comparisons());
  const predictions = (await opened.predictions("head-seed0"))!;
  const right = predictions.filter(({ label, prediction }) => label === prediction).length / predictions.length;
  expect(right).toBeCloseTo(results[1]!.mean!, 12);
});

test("a run that is stopped before it begins leaves nothing behind", async () => {
  const stopped = run(experiment, { runsFolder: folder, signal: AbortSignal.abort() });
  await expect(stopped).rejects.toMatchObject({ name: "Interrupted", code: "interrupted" });
  expect(await readdir(folder)).toEqual([]);
});

test("a run is returned as it ended where nothing changed, and is another once a file that it read was written again", async () => {
  const rows = Array.from({ length: 12 }, (_, index) => ({
    text: `row ${index}`,
    label: index % 2 === 0 ? "even" : "odd",
  }));
  const write = (file: string) =>
    writeFile(path.join(folder, file), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  await write("train.jsonl");
  await write("test.jsonl");
  const onFiles = {
    ...experiment,
    tasks: [task.files("parity", { train: "train.jsonl", test: "test.jsonl" })],
    methods: [baselines.head()],
  };
  const options = { runsFolder: path.join(folder, "runs"), baseFolder: folder, reuse: true };
  const record = await run(onFiles, options);
  expect(await run(onFiles, { ...options, signal: AbortSignal.abort() })).toEqual(record);

  await write("test.jsonl");
  await expect(run(onFiles, { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: "Interrupted",
  });
});

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}
