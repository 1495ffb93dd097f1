import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lastLines } from "../../src/bridge/log.js";

let folder: string;
let log: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-test-"));
  log = path.join(folder, "python.log");
  await writeFile(log, `${"long ago\n".repeat(100_000)}\n\nsecond\n \nlast\n`);
});
afterAll(() => rm(folder, { recursive: true }));

test("the last lines of a log are its last that say something", () => {
  expect(lastLines(log, { lines: 2 })).toBe("second\nlast");
});

test("no more than the end of a long log is read", () => {
  expect(lastLines(log, { bytes: 6 })).toBe("last");
});

test("a log that was never written has no last lines", () => {
  expect(lastLines(path.join(folder, "none.log"))).toBe("");
});
