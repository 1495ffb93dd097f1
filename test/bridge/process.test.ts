import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execaNode } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isAlive } from "./bridge.js";

const root = path.resolve(import.meta.dirname, "../..");
const jiti = path.join(root, "node_modules/jiti/lib/jiti-cli.mjs");

let folder: string;
let log: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-test-"));
  log = path.join(folder, "python.log");
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a program of test/fixtures/bridge in a Node process of its own. */
function node(program: string, ...given: string[]) {
  return execaNode(jiti, [path.join(root, "test/fixtures/bridge", program), ...given], {
    timeout: 50_000,
  });
}

describe("a Node process with a runtime", () => {
  test("keeps what Python prints out of its output, and ends by itself once the runtime is closed", async () => {
    const { stdout, stderr } = await node("print.ts");
    expect(stdout).toBe('{"done":true}');
    expect(stderr).not.toContain("from print");
  });

  test("ends by itself after Python has died", async () => {
    expect((await node("crash.ts", log)).stdout).toBe("PythonCrashed");
  });

  test("takes Python with it when it is killed while Python trains", async () => {
    const child = node("train.ts", log);
    child.catch(() => {});
    const [first] = await once(child.stdout, "data");
    const pid = Number(String(first));
    expect(isAlive(pid)).toBe(true);
    child.kill("SIGKILL");
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 5_000, interval: 50 });
  });
});
