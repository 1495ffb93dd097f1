import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { espalier, main } from "../cli/cli.js";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-command-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("espalier dashboard serves the page and the runs until it is interrupted", async () => {
  await writeSyntheticRun(folder, { directory: "one", steps: 2 });
  const command = execa(process.execPath, [main, "dashboard", folder, "--no-open"], { reject: false });
  let text = "";
  command.stderr.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  await expect.poll(() => text.split("\n").length, { timeout: 30_000 }).toBeGreaterThan(2);
  const said = text.split("\n");
  const url = /^dashboard: (http:\/\/127\.0\.0\.1:\d+\/)$/.exec(said[0]!)![1]!;
  expect(said[1]).toMatch(/^token to stop and resume runs: \S{16}$/);
  expect(await (await fetch(url)).text()).toContain("<title>Espalier</title>");
  expect(await (await fetch(`${url}api/runs`)).json()).toMatchObject([{ name: "one", state: "done" }]);
  command.kill("SIGINT");
  expect((await command).exitCode).toBe(0);
});

test("a port that is none is refused", async () => {
  const { code, stderr } = await espalier(["dashboard", folder, "--no-open", "--port", "http"]);
  expect(code).toBe(2);
  expect(stderr).toContain("It must be a number between 0 and 65535");
});
