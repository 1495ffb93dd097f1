import { describe, expect, test } from "vitest";
import { toCsv } from "../../src/report/tables/csv.js";
import { evidenceTables } from "../../src/report/tables/evidence.js";
import { toLatex } from "../../src/report/tables/latex.js";
import { toMarkdown } from "../../src/report/tables/markdown.js";
import { resultTables } from "../../src/report/tables/results.js";
import { syntheticRun } from "../fixtures/synthetic-run.js";

const whole = syntheticRun({ steps: 2 }).record!;
const row = { ...whole.rows[0]!, mean: 0.97512, ci95: [0.97, 0.98] as [number, number] };
const rival = { ...whole.rows[2]!, method: "top_2 & <b>", mean: 0.9634, ci95: null, failed: 1 };
const comparison = { ...whole.comparisons[0]!, b: rival.method, difference: 0.0117, verdict: "better" as const };
const record = { rows: [row, rival], comparisons: [comparison], overTasks: null };

test("a table has a line a method, the answer first, with what its comparison says", () => {
  const [table] = resultTables(record);
  expect(table!.caption).toBe("accuracy x 100 on test, 3 seeds");
  expect(table!.rows[0]!.slice(0, 3)).toEqual(["budgeted", "97.5", "97.0 to 98.0"]);
  expect(table!.rows[0]!.at(-1)).toBe("the answer");
  expect(table!.rows[1]!.slice(1, 3)).toEqual(["96.3", "\u2013"]);
  expect(table!.rows[1]!.at(-1)).toBe("better +1.2 (1 failed)");
});

test("Markdown and LaTeX take any name as text", () => {
  const tables = resultTables(record);
  expect(toMarkdown(tables)).toContain("| top\\_2 & \\<b\\> |  96.3 |");
  const latex = toLatex(tables);
  expect(latex).toContain("top\\_2 \\& \\textless{}b\\textgreater{} & 96.3 & -- &");
  expect(latex).toContain("\\begin{tabular}{lrrrrrl}");
});

test("a method whose trials all failed is a line without numbers", () => {
  const [table] = resultTables({ rows: [row, { ...rival, mean: null, failed: 3 }], comparisons: [] });
  expect(table!.rows[1]).toEqual([
    "top_2 & <b>",
    "\u2013",
    "\u2013",
    "\u2013",
    "\u2013",
    "\u2013",
    "\u2013 (3 failed)",
  ]);
});

test("CSV keeps all digits, quotes what needs it, and leaves out what is not known", () => {
  const [head, first, second] = toCsv({
    rows: [row, { ...rival, method: 'a "quoted", name' }],
    comparisons: [],
    overTasks: null,
  }).split("\n") as [string, string, string];
  const column = (name: string) => head.split(",").indexOf(name);
  expect(first.split(",")[column("mean")]).toBe("0.97512");
  expect(first.split(",")[column("step_ms_predicted")]).toBe("");
  expect(second).toContain('snips,"a ""quoted"", name",accuracy,test,3,1,0.9634,,,');
});

describe("the tables of evidence", () => {
  const tables = (of: Parameters<typeof evidenceTables>[0]) =>
    Object.fromEntries(evidenceTables(of).map(({ table }) => [table.name, table]));

  test("give the effect with its interval before p, and what the design could have seen", () => {
    const found = { ...comparison, ci95: [-0.0021, 0.0255] as [number, number], p: 0.0004, pAdjusted: 0.0123 };
    const over = {
      ...found,
      task: null,
      difference: -0.004,
      detectable: 0.0207,
      verdict: "cannot be told apart" as const,
    };
    const { comparisons } = tables({ ...record, comparisons: [found], overTasks: { rows: [], comparisons: [over] } });
    expect(comparisons!.rows).toEqual([
      ["top_2 & <b>", "snips", "+1.2", "-0.2 to 2.5", "<0.001", "0.012", "0.9", "better"],
      ["top_2 & <b>", "all tasks", "\u22120.4", "-0.2 to 2.5", "<0.001", "0.012", "2.1", "no difference"],
    ]);
  });

  test("show the gap between soft, hard and refitted model, the overlap of seeds, and the whole cost", () => {
    const seconds = { tune: 125, search: 30, fit: 14, evaluate: 2 };
    const searched = {
      ...row,
      softBeforeFit: 0.95,
      hardenedBeforeFit: 0.9,
      overlap: 0.614,
      seconds,
      totalSeconds: 263,
    };
    const { "what a search keeps and costs": table } = tables({ ...record, rows: [searched, rival] });
    expect(table!.rows[0]).toEqual([
      ...["budgeted", "95.0", "90.0", "97.5", "0.61", "2 min 5 s", "30 s", "14 s", "4 min 23 s"],
    ]);
    expect(table!.rows[1]!.slice(1, 4)).toEqual(["\u2013", "\u2013", "96.3"]);
  });

  test("of a run over several tasks have a line a method for their means, of one task none", () => {
    const { "all tasks": means } = tables(whole);
    expect(means!.caption).toBe("accuracy x 100, mean over the tasks, 3 seeds");
    expect(means!.rows).toHaveLength(6);
    expect(tables(record)).not.toHaveProperty("all tasks");
  });

  test("of a run of an earlier version, which recorded none of this, are none", () => {
    expect(evidenceTables({ rows: [{ ...row, totalSeconds: null }], comparisons: [], overTasks: null })).toEqual([]);
  });
});
