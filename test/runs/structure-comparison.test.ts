import { expect, test } from "vitest";
import { structure } from "../../src/index.js";
import { plain } from "../../src/report/paint.js";
import { drawComparison } from "../../src/report/structure-comparison.js";
import { lora, structureOf } from "../fixtures/structure.js";

const a = structureOf(
  [lora(0, "mlp.up", 0, 2), lora(1, "attention.query", 0, 4, ["snips", "qnli"]), lora(1, "mlp.up", 0, 1)],
  ["snips", "qnli"],
);
const b = structureOf(
  [lora(1, "attention.query", 0, 4), lora(1, "attention.query", 4, 4, ["qnli"]), lora(1, "mlp.up", 0, 1)],
  ["snips", "qnli"],
  "uniform",
);

test("overlap is the Jaccard index, by candidates and by parameters", () => {
  const compared = structure.compare(a, b);
  expect(compared.candidates).toEqual({ both: 2, onlyA: 1, onlyB: 1, jaccard: 0.5 });
  expect(compared.parameters).toEqual({ both: 500, onlyA: 200, onlyB: 400, jaccard: 5 / 11 });
});

test("each task is compared by what it uses", () => {
  const { tasks } = structure.compare(a, b);
  expect(tasks.snips!.parameters).toEqual({ both: 500, onlyA: 200, onlyB: 0, jaccard: 5 / 7 });
  expect(tasks.qnli!.parameters).toEqual({ both: 0, onlyA: 400, onlyB: 400, jaccard: 0 });
});

test("what is another task's own is no part of what a task uses", () => {
  const dual = { ...lora(0, "mlp.up", 0, 2), kind: "dualLora" as const, parameters: 300, ofOthers: 100 };
  const compared = structure.compare(structureOf([dual]), structureOf([]));
  expect(compared.parameters.onlyA).toBe(300);
  expect(compared.tasks.snips!.parameters.onlyA).toBe(200);
});

test("a task that only one of the two knows is left out", () => {
  expect(Object.keys(structure.compare(a, structureOf([], ["qnli", "rte"])).tasks)).toEqual(["qnli"]);
});

test("what moved is told per layer and slot", () => {
  expect(structure.compare(a, b).moved).toEqual([
    { layer: 0, slot: "mlp.up", kind: "lora", a: 2, b: 0 },
    { layer: 1, slot: "attention.query", kind: "lora", a: 4, b: 8 },
  ]);
});

test("the same ranks in other chunks cost the same", () => {
  const whole = structureOf([lora(0, "mlp.up", 0, 4)]);
  const halves = structureOf([lora(0, "mlp.up", 0, 2), lora(0, "mlp.up", 2, 2)]);
  const compared = structure.compare(whole, halves);
  expect(compared.candidates.jaccard).toBe(0);
  expect(compared.parameters.jaccard).toBe(1);
  expect(compared.moved).toEqual([]);
});

test("a structure is the same as itself, and two empty ones are the same", () => {
  expect(structure.compare(a, a)).toMatchObject({ candidates: { jaccard: 1 }, parameters: { jaccard: 1 }, moved: [] });
  expect(structure.compare(structureOf([]), structureOf([])).candidates.jaccard).toBe(1);
});

test("is drawn with overlaps and a grid of the differences", () => {
  expect(drawComparison(a, b, structure.compare(a, b), plain)).toBe(
    [
      "structures  a: budgeted, 700 parameters; b: uniform, 900",
      "",
      "candidates   overlap 0.50: 2 in both, 1 only in a, 1 only in b",
      "parameters   overlap 0.45: 500 in both, 200 only in a, 400 only in b",
      "of snips     overlap 0.71: 500 in both, 200 only in a, 0 only in b",
      "of qnli      overlap 0.00: 0 in both, 400 only in a, 400 only in b",
      "",
      "a number is the rank or width of b less that of a, = is the same, . is none",
      "layer   query     up",
      "    1      +4      =",
      "    0       .     -2",
    ].join("\n"),
  );
});
