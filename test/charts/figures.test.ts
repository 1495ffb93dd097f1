import { describe, expect, test } from "vitest";
import {
  budgetSpent,
  chosenCells,
  comparisonEffects,
  type FigureOptions,
  gateCells,
  layerShares,
  overlaps,
  robustnessCurves,
  scoreAgainst,
  secondsByStage,
  spendingOf,
  structureMap,
  structureOverlap,
  trainingCurves,
} from "../../src/charts/index.js";
import { gatesOf } from "../../src/runs/gates.js";
import { curves, record, searched, structure } from "./data.js";
import { asText, document } from "./document.js";

const gates = gatesOf(searched[0]!.gates);
const found = Object.fromEntries(searched.map((entry) => [`seed ${entry.trial.seed}`, entry.structure!]));
const noise = ["budgeted", "uniform"].flatMap((method, index) =>
  [0, 0.1, 0.2].map((ratio) => {
    const score = 0.95 - 0.02 * index - ratio * (0.6 + 0.2 * index);
    return { method, ratio, score, low: score - 0.01, high: score + 0.01 };
  }),
);

/** Five kinds at six slots of two layers, and a sixth of which nothing is used. */
const manyKinds = ["lora", "tarp", "grasp", "dualLora", "bitfit", "generated"].flatMap((kind, ofKind) =>
  ["attention.query", "attention.key", "attention.value", "attention.output", "mlp.up", "mlp.down"].flatMap(
    (slot, at) =>
      [0, 1].map((layer) => {
        const size = kind === "generated" ? 0 : 1 + ((ofKind + at + layer) % 4);
        return {
          layer,
          slot,
          kind,
          strength: size / 4,
          text: size === 0 ? "" : String(size),
          title: `${kind} ${slot}`,
        };
      }),
  ),
);

/** Every figure with the data of a run, and with nothing. */
const figures: Record<string, { drawn: (options: FigureOptions) => SVGSVGElement; empty: typeof structureMap }> = {
  "structure-map": {
    drawn: (options) => structureMap(chosenCells(structure), options),
    empty: (_, options) => structureMap([], options),
  },
  "structure-map-of-gates": {
    drawn: (options) => structureMap(gateCells(gates, 5, { task: "qnli" }), options),
    empty: (_, options) => structureMap([], options),
  },
  "structure-map-of-many-kinds": {
    drawn: (options) => structureMap(manyKinds, options),
    empty: (_, options) => structureMap([], options),
  },
  "layer-shares": {
    drawn: (options) => layerShares({ snips: [0.1, 0.1, 0.2, 0.6], qnli: [0.25, 0.25, 0.25, 0.25] }, options),
    empty: (_, options) => layerShares({}, options),
  },
  "training-curves": {
    drawn: (options) => trainingCurves(curves, options),
    empty: (_, options) => trainingCurves([], options),
  },
  "budget-spent": {
    drawn: (options) => budgetSpent([spendingOf("seed 0", gates)!], { ...options, budget: structure.budget! }),
    empty: (_, options) => budgetSpent([], { ...options, budget: 1 }),
  },
  "score-against-parameters": {
    drawn: (options) => scoreAgainst(record.rows, options),
    empty: (_, options) => scoreAgainst([], options),
  },
  "score-against-step-time": {
    drawn: (options) => scoreAgainst(record.rows, { ...options, by: "stepMs", task: "qnli" }),
    empty: (_, options) => scoreAgainst([], options),
  },
  "comparison-effects": {
    drawn: (options) => comparisonEffects(record.comparisons, options),
    empty: (_, options) => comparisonEffects([], options),
  },
  "robustness-curves": {
    drawn: (options) => robustnessCurves(noise, { ...options, perturbation: "input noise", metric: "accuracy" }),
    empty: (_, options) => robustnessCurves([], { ...options, perturbation: "input noise" }),
  },
  "structure-overlap": {
    drawn: (options) => structureOverlap(overlaps(found), options),
    empty: (_, options) => structureOverlap([], options),
  },
  "seconds-by-stage": {
    drawn: (options) => secondsByStage(record.rows, options),
    empty: (_, options) => secondsByStage([], options),
  },
};

describe.each(Object.entries(figures))("%s", (name, { drawn, empty }) => {
  test("is drawn as it is stored", async () => {
    await expect(asText(drawn({ document, width: 480 }))).toMatchFileSnapshot(`stored/${name}.svg`);
  });

  test("has a name and says in words what it shows", () => {
    const svg = drawn({ document });
    expect(svg.getAttribute("role")).toBe("img");
    expect(svg.getAttribute("aria-label")).toMatch(/\w{3}/);
    expect(svg.getAttribute("aria-description")).toMatch(/\d/);
  });

  test("fits 320 pixels: no number in it is out of its frame or not a number", () => {
    const svg = drawn({ document, width: 320 });
    expect(svg.getAttribute("width")).toBe("320");
    expect(svg.outerHTML).not.toContain("NaN");
    for (const text of svg.querySelectorAll("text[transform], rect[x]")) {
      const [x] = /translate\(([-\d.]+)/.exec(text.getAttribute("transform") ?? "")?.slice(1) ?? [
        text.getAttribute("x"),
      ];
      expect(Number(x)).toBeGreaterThanOrEqual(0);
      expect(Number(x)).toBeLessThanOrEqual(320);
    }
  });

  test("says that there is nothing where there is nothing", () => {
    expect(empty([], { document }).querySelector("text")?.textContent).toMatch(/\.$/);
  });
});

test("columns beyond one row stand in several, each with its number and its own label; unused ones are left out", () => {
  const svg = structureMap(manyKinds, { document, width: 480 });
  const texts = [...svg.querySelectorAll("text")].map((text) => text.textContent);
  expect(texts.filter((text) => text === "query tarp")).toHaveLength(1);
  expect(texts.filter((text) => /^[1-4]$/.test(text))).toHaveLength(60 + 2);
  expect(svg.textContent).not.toContain("generated");
  expect(svg.getAttribute("aria-description")).toContain("6 columns of which nothing is used are left out");
});

test("a method that adapts nothing leaves the axis of parameters logarithmic", () => {
  const costs = [113_000, 0, 384, 1536, 12_000];
  const rows = costs.map((cost, index) => ({
    ...record.rows[0]!,
    method: `method${index}`,
    mean: 0.8 + 0.02 * index,
    ci95: null,
    parameters: { task: cost, union: cost, fraction: 0.001 },
  }));
  const svg = scoreAgainst(rows, { document });
  expect(svg.textContent).toContain("logarithmic");
  const places = [...svg.querySelectorAll('[aria-label="dot"] circle')].map((dot) => Number(dot.getAttribute("cx")));
  const sorted = [...places].sort((a, b) => a - b);
  // Nothing, then a fourfold, an eightfold and a ninefold: no two within a tenth of the axis.
  const gaps = sorted.slice(1).map((place, index) => place - sorted[index]!);
  expect(Math.min(...gaps)).toBeGreaterThan(0.08 * (sorted.at(-1)! - sorted[0]!));
});

test("effects of less than a tenth of a point have ticks that differ", () => {
  const near = record.comparisons.map((entry) => ({
    ...entry,
    difference: 0.0004,
    ci95: [-0.0005, 0.0009] as [number, number],
  }));
  const svg = comparisonEffects(near, { document });
  const ticks = [...svg.querySelectorAll('[aria-label="x-axis tick label"] text')].map((text) => text.textContent);
  expect(new Set(ticks).size).toBe(ticks.length);
});

test("a theme is the page's, or the one that is asked for", () => {
  const style = (theme: "page" | "light" | "dark") =>
    structureMap(chosenCells(structure), { document, theme }).getAttribute("style");
  expect(style("page")).toContain("--ink: var(--espalier-ink, light-dark(#1c1e21, #eceef1))");
  expect(style("dark")).toContain("--ink: #eceef1");
  expect(style("light")).toContain("--ink: #1c1e21");
});

test("text from records is text, whatever it holds", () => {
  const rows = record.rows.map((row) => ({ ...row, method: `<img src=x onerror="alert(1)">${row.method}` }));
  const svg = scoreAgainst(rows, { document });
  expect(svg.querySelectorAll("img")).toHaveLength(0);
  expect(svg.textContent).toContain("<img src=x");
});

test("a band far wider than its curve takes no more of the frame than ten points beyond it", () => {
  const band = (low: number, high: number) => {
    const ends = [0, 0.1].map((ratio) => ({ method: "one", ratio, score: 0.625, low, high }));
    const svg = robustnessCurves(ends, { document, perturbation: "input noise" });
    return `${svg.querySelector('[aria-label="area"] path')!.getAttribute("d")} ${svg.textContent}`;
  };
  expect(band(-5, 5)).toBe(band(0.525, 0.725));
  expect(band(0.6, 5)).toBe(band(0.6, 0.725));
  expect(band(0.6, 0.65)).not.toBe(band(0.6, 0.725));
});

test("thirty methods of nearly one cost keep to their cost, and each has a line for its name", () => {
  const rows = Array.from({ length: 30 }, (_, index) => ({
    ...record.rows[0]!,
    method: `m${index}`,
    mean: 0.9,
    ci95: null,
    parameters: { ...record.rows[0]!.parameters, task: index === 0 ? 100 : 20_000 + index },
  }));
  const svg = scoreAgainst(rows, { document, width: 640 });
  const at = (text: Element) =>
    /translate\(([-\d.]+),([-\d.]+)\)/
      .exec(text.getAttribute("transform") ?? "")!
      .slice(1)
      .map(Number);
  const names = [...svg.querySelectorAll("text")].filter((text) => /^m\d+$/.test(text.textContent ?? ""));
  expect(names).toHaveLength(30);
  const column = names.map(at).filter(([x]) => x! > 320);
  const heights = column.map(([, y]) => y!).sort((a, b) => a - b);
  expect(heights).toHaveLength(29);
  expect(heights.at(-1)!).toBeLessThan(Number(svg.getAttribute("height")));
  for (const [index, height] of heights.slice(1).entries()) expect(height - heights[index]!).toBeGreaterThan(14);
  const dots = [...svg.querySelectorAll("circle")].map((dot) => Number(dot.getAttribute("cx")));
  const far = Math.max(...dots) - Math.min(...dots.filter((dot) => dot > 100));
  expect(far).toBeLessThanOrEqual(48);
});

test("the axis of parameters is logarithmic where the most are twenty times the fewest", () => {
  const costing = (...costs: number[]) =>
    record.rows.slice(0, costs.length).map((row, index) => ({
      ...row,
      task: "one",
      method: `m${index}`,
      parameters: { ...row.parameters, task: costs[index]! },
    }));
  const axis = (...costs: number[]) => scoreAgainst(costing(...costs), { document }).textContent;
  expect(axis(1000, 20_000)).toContain("logarithmic");
  expect(axis(1000, 19_000)).not.toContain("logarithmic");
  expect(axis(0, 20_000)).not.toContain("logarithmic");
});
