import { describe, expect, test } from "vitest";
import { chosenCells, gateCells, overlaps, spendingOf } from "../../src/charts/index.js";
import { gatesOf } from "../../src/runs/gates.js";
import { searched, structure } from "./data.js";

const query = (cells: ReturnType<typeof chosenCells>) =>
  cells.find((cell) => cell.layer === 0 && cell.slot === "attention.query")!;

describe("the cells of a structure", () => {
  const candidate = structure.candidates.find((entry) => entry.site === "layers.0.attention.query")!;
  const of = (tasks: string[][]) =>
    tasks.map((entry, index) => ({ ...candidate, start: index, size: 2 ** index, tasks: entry }));

  test("hold the sizes that any task, one task or all tasks chose, of the largest that was offered", () => {
    const two = { ...structure, candidates: of([["snips", "qnli"], ["snips"]]) };
    expect(query(chosenCells(two))).toMatchObject({
      text: "3",
      strength: 3 / 8,
      title: "layer 0, query, lora: 3 of 8",
    });
    expect(query(chosenCells(two, { task: "qnli" }))).toMatchObject({ text: "1" });
    expect(query(chosenCells(two, "shared"))).toMatchObject({ text: "1" });
  });

  test("are there for every place of the space, empty ones too", () => {
    const none = chosenCells({ ...structure, candidates: [] });
    expect(none).toHaveLength(36);
    expect(none.every((cell) => cell.strength === 0 && cell.text === "")).toBe(true);
  });
});

describe("the cells of gates", () => {
  const id = (start: number, end: number) => `layers.0.attention.query/lora[${start}:${end}]`;
  const row = (task: string, candidate: string, value: number, parameters: number) => ({
    step: 0,
    task,
    candidate,
    value,
    parameters,
  });
  const gates = gatesOf([
    row("a", id(0, 1), 0.5, 100),
    row("a", id(1, 4), 0.1, 300),
    row("b", id(0, 1), 0.9, 100),
    row("b", id(1, 4), 0.3, 300),
  ]);

  test("weigh a place's chunks by their sizes, for one task, the most and the least", () => {
    expect(gateCells(gates, 0, { task: "a" })[0]!.strength).toBeCloseTo((0.5 + 3 * 0.1) / 4, 12);
    expect(gateCells(gates, 0)[0]!.strength).toBeCloseTo((0.9 + 3 * 0.3) / 4, 12);
    expect(gateCells(gates, 0, "shared")[0]!.strength).toBeCloseTo((0.5 + 3 * 0.1) / 4, 12);
    expect(gateCells(gates, 0)[0]!.text).toBe(".45");
  });

  test("spend, of each candidate, what the task that wants it most asks for", () => {
    expect(spendingOf("t", gates)!.points).toEqual([{ step: 0, spent: 0.9 * 100 + 0.3 * 300 }]);
  });

  test("that did not record what candidates cost have no spending", () => {
    expect(
      spendingOf("t", gatesOf([{ step: 0, task: "a", candidate: id(0, 1), value: 1, parameters: null }])),
    ).toBeUndefined();
  });
});

describe("overlap", () => {
  const some = (keep: (index: number) => boolean) => ({
    ...structure,
    candidates: structure.candidates.filter((_, index) => keep(index)),
  });

  test("is 1 with itself, 0 where nothing is in common, and weighed by parameters", () => {
    const [first, second] = structure.candidates as [
      (typeof structure.candidates)[0],
      (typeof structure.candidates)[0],
    ];
    const pairs = overlaps({
      both: some((index) => index < 2),
      one: some((index) => index === 0),
      other: some((index) => index === 1),
    });
    const share = (a: string, b: string) => pairs.find((pair) => pair.a === a && pair.b === b)!.share;
    expect(share("both", "both")).toBe(1);
    expect(share("one", "other")).toBe(0);
    expect(share("both", "one")).toBe(first.parameters / (first.parameters + second.parameters));
    expect(share("one", "both")).toBe(share("both", "one"));
  });

  test("of two empty structures is 1", () => {
    expect(overlaps({ a: some(() => false), b: some(() => false) })[1]!.share).toBe(1);
  });

  test("of the searches of one run is symmetric", () => {
    const pairs = overlaps(Object.fromEntries(searched.map((entry) => [entry.trial.id, entry.structure!])));
    expect(pairs).toHaveLength(searched.length ** 2);
  });
});
