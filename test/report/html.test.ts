import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseHTML } from "linkedom";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { htmlReport } from "../../src/report/html/report.js";
import { readWholeRun } from "../../src/runs/whole.js";
import { espalier } from "../cli/cli.js";
import { card } from "../fixtures/robustness.js";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";

const markup = '<img src=x onerror="alert(1)">';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-report-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the report of a finished run", () => {
  let text: string;
  let document: Document;
  beforeAll(async () => {
    const failed = { "random-draw1-seed1": `no ${markup}` };
    const directory = await writeSyntheticRun(folder, { directory: markup, steps: 10, warnings: [markup], failed });
    text = await htmlReport(await readWholeRun(directory));
    document = parseHTML(text).document as unknown as Document;
  });

  test("is one file that asks for nothing else", () => {
    const addresses = [...text.matchAll(/https?:\/\/[^"'\s)]+/g)].map((match) => match[0]);
    expect(new Set(addresses)).toEqual(new Set(["http://www.w3.org/2000/svg"]));
    expect(document.querySelectorAll("script, link, iframe, object")).toHaveLength(0);
    expect(text.length).toBeLessThan(1_000_000);
  });

  test("shows every picture, for a wide and for a narrow page", () => {
    const names = (width: string) =>
      [...document.querySelectorAll(`.${width} svg`)].map((svg) => svg.getAttribute("aria-label"));
    expect(names("wide")).toEqual(names("narrow"));
    for (const name of [
      ...[
        "budgeted against its rivals on qnli",
        "score on snips against parameters",
        "score on snips against step time",
      ],
      ...["All that any task uses.", "Only what qnli uses.", "What all tasks share.", "gates at step 9"],
      ...["what the structures of two trials have in common", "loss during the search", "loss during the fit"],
      ...["parameters that the gates spend", "seconds of one seed, by stage"],
    ]) {
      expect(names("wide")).toContain(name);
    }
  });

  test("shows every comparison with what could have been seen, the means over tasks, and what searches keep and cost", () => {
    const tables = [...document.querySelectorAll("h3")].map((heading) => heading.textContent);
    for (const name of ["All tasks", "Comparisons", "What a search keeps and costs"]) expect(tables).toContain(name);
    const heads = [...document.querySelectorAll("th")].map((cell) => cell.textContent);
    for (const name of ["could see", "adjusted", "soft", "hard", "refitted", "overlap", "total"]) {
      expect(heads).toContain(name);
    }
  });

  test("says in a sentence what came out, and names what failed", () => {
    expect(document.querySelector("header")!.textContent).toMatch(/snips: budgeted reaches accuracy x 100 of \d\d\.\d/);
    expect(document.body.textContent).toContain("failed: random-draw1-seed1");
  });

  test("takes every name and message as text", () => {
    expect(document.querySelectorAll("img")).toHaveLength(0);
    expect(document.querySelector("header code")!.textContent).toBe(markup);
    expect(document.querySelector("li")!.textContent).toContain(markup);
  });
});

test("a robustness card is shown as curves", async () => {
  const directory = await writeSyntheticRun(folder, { directory: "noisy", steps: 5 });
  await writeFile(path.join(directory, "robustness.json"), JSON.stringify(card));
  const { document } = parseHTML(await htmlReport(await readWholeRun(directory)));
  const names = [...document.querySelectorAll(".wide svg")].map((svg) => svg.getAttribute("aria-label"));
  expect(names).toEqual(expect.arrayContaining(["accuracy under input noise", "accuracy under path noise"]));
  expect(document.body.textContent).toContain("without full under path noise: it has no adapters");
});

test("a run under way is reported as far as it has come", async () => {
  const directory = await writeSyntheticRun(folder, { directory: "half", steps: 10, finished: 0.5 });
  const { document } = parseHTML(await htmlReport(await readWholeRun(directory)));
  expect(document.querySelector("header")!.textContent).toContain("has not ended: 9 of its 18 trials have");
  expect(document.querySelectorAll(".wide svg").length).toBeGreaterThan(5);
});

test("a search under way is shown by its gates so far", async () => {
  const directory = await writeSyntheticRun(folder, { directory: "search", steps: 20, finished: 0, searched: 9 });
  const { document } = parseHTML(await htmlReport(await readWholeRun(directory)));
  expect(document.body.textContent).toContain("The search of budgeted, seed 0, has not ended.");
  const names = [...document.querySelectorAll(".wide svg")].map((svg) => svg.getAttribute("aria-label"));
  for (const name of [
    "Only what qnli uses.",
    "gates at step 0",
    "gates at step 8",
    "parameters that the gates spend",
  ]) {
    expect(names).toContain(name);
  }
});

describe("espalier report", () => {
  test("writes report.html into the run's directory", async () => {
    const directory = await writeSyntheticRun(folder, { directory: "whole", steps: 10 });
    const { code, stdout } = await espalier(["report", directory]);
    expect([code, stdout.trim()]).toEqual([0, path.join(directory, "report.html")]);
    expect(await readFile(path.join(directory, "report.html"), "utf8")).toContain("</html>");
  });

  test("prints tables", async () => {
    const { stdout } = await espalier(["report", path.join(folder, "whole"), "--format", "md"]);
    expect(stdout).toContain("**snips**: accuracy x 100 on test, 3 seeds");
  });

  test("of a run under way has no tables yet, and says so", async () => {
    const { code, stderr } = await espalier(["report", path.join(folder, "half"), "--format", "csv"]);
    expect(code).toBe(1);
    expect(stderr).toContain("the run has not ended, so it has no tables yet");
  });
});
