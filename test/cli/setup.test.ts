import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testPython } from "../python.js";
import { espalier } from "./cli.js";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "espalier-home-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe("espalier setup", () => {
  test("has nothing to do where ESPALIER_PYTHON is good", async () => {
    const { code, stdout } = await espalier(["setup"]);
    expect(stdout).toMatch(/^ready, nothing to do: Python 3\.\d+\.\d+/);
    expect(code).toBe(0);
  });

  test("--json prints one object", async () => {
    const { code, stdout } = await espalier(["setup", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ python: testPython(), origin: "ESPALIER_PYTHON", made: false });
    expect(code).toBe(0);
  });

  test("refuses an ESPALIER_PYTHON that is none, as wrong input", async () => {
    const { code, stdout, stderr } = await espalier(["setup"], { env: { ESPALIER_PYTHON: "/bin/false" } });
    expect(stderr).toMatch(
      /^error: \/bin\/false does not start as a Python: .+\nSet ESPALIER_PYTHON to another Python/,
    );
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });

  test("in a home that cannot be written fails with the way out", async () => {
    const file = path.join(home, "file");
    await writeFile(file, "");
    const env = { ESPALIER_PYTHON: undefined, ESPALIER_HOME: file };
    const { code, stdout } = await espalier(["setup", "--json"], { env });
    expect(JSON.parse(stdout)).toMatchObject({
      status: "failed",
      error: { code: "environment", mend: expect.stringContaining("ESPALIER_HOME") },
    });
    expect(code).toBe(1);
  });
});
