import { expect, test, vi } from "vitest";
import { KindSchema } from "../../src/experiment/schema/index.js";
import { espalier } from "./cli.js";

vi.setConfig({ testTimeout: 120_000 });

test("espalier kinds --json lists every kind of the schema with equation, source and cost", async () => {
  const { code, stdout } = await espalier(["kinds", "--json"]);
  expect(code).toBe(0);
  const kinds: { kind: string; equation: string; source: string; slots: object }[] = JSON.parse(stdout);
  expect(kinds.map(({ kind }) => kind)).toEqual(KindSchema.options.map((option) => option.shape.kind.value));
  expect(kinds.every(({ equation, source }) => equation.length > 3 && source.length > 3)).toBe(true);
  expect(kinds[0]).toMatchObject({
    kind: "lora",
    equation: "h + s B A x",
    source: "arXiv 2106.09685",
    slots: { "attention.query": 768, "mlp.up": 1920 },
    total: 8 * 6 * (4 * 768 + 2 * 1920),
    mergeable: true,
    peft: "lora",
  });
});

test("espalier kinds is read in a terminal", async () => {
  const { stdout } = await espalier(["kinds"]);
  expect(stdout).toContain("  bitfit             h + b\n      arXiv 2106.10199; merges into the weights, no PEFT form");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
});
