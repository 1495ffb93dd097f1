import { expect, test, vi } from "vitest";
import { kindsText } from "../../src/cli/kinds.js";
import type { KindList } from "../../src/experiment/records.js";
import { KindSchema, kindNames } from "../../src/experiment/schema/index.js";
import { espalier } from "./cli.js";

vi.setConfig({ testTimeout: 300_000 });

test("the list of names is the schema's", () => {
  expect(KindSchema.options.map((option) => option.shape.kind.value)).toEqual(kindNames);
});

test("espalier kinds --json lists every kind of the schema with equation, source and cost", async () => {
  const { code, stdout } = await espalier(["kinds", "--json"]);
  expect(code).toBe(0);
  const kinds: KindList["kinds"] = JSON.parse(stdout);
  expect(kinds.map(({ kind }) => kind)).toEqual([...kindNames]);
  expect(kinds.every(({ equation, source }) => equation.length > 3 && source.length > 3)).toBe(true);
  expect(kinds[0]).toMatchObject({
    kind: "lora",
    equation: "h + s B A x",
    source: "arXiv 2106.09685",
    slots: { "attention.query": 768, "mlp.up": 1920 },
    total: 8 * 6 * (4 * 768 + 2 * 1920),
    mergeable: true,
    peft: "lora",
    timesLora: null,
  });
  const text = kindsText("minilm", { parameters: 22_713_216, kinds });
  expect(text).toContain("  bitfit             h + b\n      arXiv 2106.10199; merges into the weights, no PEFT form");
  expect(text).toContain("size 1 everywhere: 20.7k parameters, 0.091% of the model");
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
});

test("with --times every kind that has a place says what a step with it takes", async () => {
  const { code, stdout } = await espalier(["kinds", "--times", "--json"]);
  expect(code).toBe(0);
  const kinds: KindList["kinds"] = JSON.parse(stdout);
  const placed = kinds.filter(({ slots }) => Object.keys(slots).length > 0);
  expect(placed.every(({ timesLora }) => timesLora !== null && timesLora > 0)).toBe(true);
  expect(kindsText("minilm", { parameters: 22_713_216, kinds })).toMatch(
    /of the model; a step takes \d\.\d\d of LoRA's/,
  );
});
