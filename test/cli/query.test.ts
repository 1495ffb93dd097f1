import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";
import { espalier, main } from "./cli.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-query-"));
  const runs = path.join(folder, "runs");
  await writeSyntheticRun(runs, { name: "first", seeds: 2, steps: 5, started: 1_790_000_000 });
  await writeSyntheticRun(runs, { name: "second", seeds: 2, steps: 5, finished: 0.5 });
  await mkdir(path.join(runs, "third"));
  await writeFile(path.join(runs, "third", "plan.json"), "{");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ask = (...words: string[]) => espalier(["query", ...words], { cwd: folder });
const counted = "SELECT run, trials, name FROM runs ORDER BY run";

test("espalier query prints a table, with numbers to the right", async () => {
  const { code, stdout } = await ask(counted);
  expect(stdout).toBe(["run     trials  name", "first       12  first", "second      12  second", "third"].join("\n"));
  expect(code).toBe(0);
});

test("espalier query prints JSON and CSV", async () => {
  const rows = [
    { run: "first", trials: 12 },
    { run: "second", trials: 12 },
  ];
  const sql = "SELECT run, trials FROM runs WHERE trials > 0 ORDER BY run";
  for (const words of [["--json"], ["--format", "json"]]) {
    expect(JSON.parse((await ask(sql, ...words)).stdout)).toEqual({ columns: ["run", "trials"], rows });
  }
  const { stdout } = await ask("SELECT run, 'a,\"b\"' AS quoted, NULL AS none FROM runs LIMIT 1", "--format", "csv");
  expect(stdout).toMatch(/^run,quoted,none\n\w+,"a,""b""",$/);
});

test("espalier query says what is wrong, with exit code 2", async () => {
  const { code, stderr } = await ask("SELEKT 1");
  expect(stderr).toContain('query: Parser Error: syntax error at or near "SELEKT"');
  expect(code).toBe(2);
  expect((await ask()).code).toBe(2);
});

test("espalier query --views documents the views", async () => {
  const { stdout } = await ask("--views");
  expect(stdout).toContain("gates: one row is a candidate's gate for a task at a step of a search");
  expect(stdout).toMatch(/^ {2}full_step_ms {9}DOUBLE {5}one step with every candidate attached, milliseconds$/m);
});

test("espalier runs lists a damaged run with the reason", async () => {
  const { stdout } = await espalier(["runs"], { cwd: folder });
  expect(stdout).toMatch(/^first\n {2}done {9}snips \d+\.\d, qnli \d+\.\d {2}\(budgeted, /m);
  expect(stdout).toMatch(/^third\n {2}damaged {6}.*plan\.json: cannot be read/m);
});

test("completion offers commands, options, formats and the runs that are there", async () => {
  const offered = async (...words: string[]) => {
    const { stdout } = await espalier(["complete", "--", ...words], { cwd: folder });
    return stdout.split("\n").map((line) => line.split("\t")[0]);
  };
  expect(await offered("que")).toContain("query");
  expect(await offered("show", "")).toEqual(expect.arrayContaining(["latest", "first", "second"]));
  expect(await offered("export", "first", "--to", "")).toEqual(
    expect.arrayContaining(["peft", "merged", "native", "onnx"]),
  );
  expect(await offered("query", "--f")).toContain("--format");
});

test("the completion scripts are scripts that their shells accept", async () => {
  const { stdout } = await espalier(["completion", "bash"]);
  const checked = await execa("bash", ["-n"], { input: stdout, reject: false });
  expect(checked.stderr).toBe("");
  for (const shell of ["zsh", "fish"]) {
    expect((await espalier(["completion", shell])).stdout).toContain("espalier complete --");
  }
});

test("a pipe that is closed early is no fault", async () => {
  const { stdout, exitCode } = await execa(
    "bash",
    ["-c", `"$0" "$1" query "SELECT * FROM steps" | head -1`, process.execPath, main],
    {
      cwd: folder,
    },
  );
  expect(stdout).toMatch(/^run +trial +seq/);
  expect(exitCode).toBe(0);
});
