import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readCurves, thin } from "../../src/runs/curves.js";
import { readGates } from "../../src/runs/gates.js";

let directory: string;
const folder = () => path.join(directory, "trials", "t");
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "espalier-trial-"));
  await mkdir(folder(), { recursive: true });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("gates", () => {
  test("are read as Python writes them", async () => {
    await copyFile(
      path.join(import.meta.dirname, "..", "fixtures", "gates.parquet"),
      path.join(folder(), "gates.parquet"),
    );
    const gates = (await readGates(directory, "t"))!;
    expect(gates.steps).toEqual([0, 9]);
    expect(gates.tasks).toEqual(["a", "b"]);
    expect(gates.candidates[1]).toEqual({
      ...{ site: "layers.0.attention.query", layer: 0, slot: "attention.query", kind: "lora" },
      ...{ start: 1, size: 1, parameters: 768 },
    });
    expect(gates.candidates[2]).toMatchObject({ layer: 11, slot: "mlp", kind: "bottleneck", start: 0, size: 8 });
    expect(gates.values[1]).toEqual([
      [0.25, 0.25, 0.25],
      [0.75, 0.75, 0.75],
    ]);
  });

  test("that a trial did not record are undefined, and a damaged file is named", async () => {
    expect(await readGates(directory, "t")).toBeUndefined();
    await writeFile(path.join(folder(), "gates.parquet"), "PAR1 and no more");
    await expect(readGates(directory, "t")).rejects.toThrow(/gates\.parquet: cannot be read/);
  });
});

describe("loss curves", () => {
  const line = (stage: string, step: number, loss: unknown) =>
    `${JSON.stringify({ seq: step, time: 1, type: "step", stage, step, steps: 9, loss })}\n`;

  test("are one a stage, without losses that are not finite and without a torn line", async () => {
    const whole = [line("search", 1, 2), line("search", 2, "NaN"), line("fit", 1, 1), line("evaluate", 1, null)];
    const text = `${whole.join("")}{"seq":9,`;
    await writeFile(path.join(folder(), "events.jsonl"), text);
    expect(await readCurves(directory, "t", "uniform")).toEqual([
      { trial: "t", method: "uniform", stage: "search", steps: 9, points: [{ step: 1, loss: 2 }] },
      { trial: "t", method: "uniform", stage: "fit", steps: 9, points: [{ step: 1, loss: 1 }] },
    ]);
  });

  test("of a trial that was begun again are those of its last beginning", async () => {
    await writeFile(path.join(folder(), "events.jsonl"), line("fit", 1, 5) + line("fit", 2, 4) + line("fit", 1, 3));
    expect((await readCurves(directory, "t", "uniform"))[0]!.points).toEqual([{ step: 1, loss: 3 }]);
  });

  test("of a trial that has not begun are none", async () => {
    expect(await readCurves(directory, "t", "uniform")).toEqual([]);
  });

  test("are thinned to means over equal stretches, each at its last step", () => {
    const points = [1, 2, 3, 4, 5].map((step) => ({ step, loss: step }));
    expect(thin(points, 3)).toEqual([
      { step: 2, loss: 1.5 },
      { step: 4, loss: 3.5 },
      { step: 5, loss: 5 },
    ]);
    expect(thin(points, 5)).toBe(points);
  });
});
