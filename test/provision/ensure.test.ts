import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { checkPython } from "../../src/provision/check.js";
import { type EnsureOptions, ensurePython } from "../../src/provision/ensure.js";
import { findPython } from "../../src/provision/find.js";
import { environmentFolder } from "../../src/provision/home.js";
import { testPython } from "../python.js";

let folder: string;
let lock: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-provision-"));
  lock = path.join(folder, "tiny.lock");
  await writeFile(lock, "six==1.17.0\n");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function options(more: Partial<EnsureOptions> = {}): EnsureOptions {
  const { ESPALIER_PYTHON: _, ...env } = process.env;
  return { env: { ...env, ESPALIER_HOME: path.join(folder, "home") }, locks: [lock], standalone: null, ...more };
}

describe("an environment", () => {
  test("is made once, with what the lock names, and then found", async () => {
    const lines: string[] = [];
    const made = await ensurePython(options({ onProgress: (line) => lines.push(line) }));
    expect((await execa(made.python, ["-c", "import six; print(six.__version__)"])).stdout).toBe("1.17.0");
    expect(lines).toContainEqual(expect.stringMatching(/^Python environment: six/));
    const again: string[] = [];
    expect(await ensurePython(options({ onProgress: (line) => again.push(line) }))).toEqual(made);
    expect(again).toEqual([]);
  });

  test("that was interrupted is made anew", async () => {
    const { version } = await findPython();
    const half = await environmentFolder(path.join(folder, "home"), version, [lock]);
    await mkdir(path.join(half, "bin"), { recursive: true });
    await writeFile(path.join(half, "bin", "python"), "half written");
    const { python } = await ensurePython(options());
    expect((await execa(python, ["-c", "import six"])).exitCode).toBe(0);
  });

  test("that two want at once is made by one, while the other waits", async () => {
    const lines: string[] = [];
    const onProgress = (line: string) => lines.push(line);
    const [a, b] = await Promise.all([ensurePython(options({ onProgress })), ensurePython(options({ onProgress }))]);
    expect(a).toEqual(b);
    expect(lines.filter((line) => line.startsWith("Python environment: making"))).toHaveLength(1);
    expect(lines).toContain("Python environment: another process is making it; waiting");
  });

  test("that lacks nothing of a changed lock is another environment", async () => {
    const first = await ensurePython(options());
    await writeFile(lock, "six==1.16.0\n");
    expect((await ensurePython(options())).python).not.toBe(first.python);
  });

  test("that cannot be made for a package that does not exist leaves nothing that looks ready", async () => {
    await writeFile(lock, "six==99.99\n");
    await expect(ensurePython(options())).rejects.toMatchObject({ code: "environment" });
    await writeFile(lock, "six==1.17.0\n");
    const [name] = await readdir(path.join(folder, "home", "environments"));
    expect(
      await stat(path.join(folder, "home", "environments", name!, "espalier-ready.json")).catch(() => undefined),
    ).toBeUndefined();
  });
});

describe("without a network", () => {
  const before = { ...process.env };
  beforeAll(() => {
    Object.assign(process.env, {
      PIP_CONFIG_FILE: "/dev/null",
      PIP_INDEX_URL: "http://127.0.0.1:9/simple",
      PIP_RETRIES: "0",
      PIP_NO_CACHE_DIR: "1",
    });
    delete process.env.PIP_FIND_LINKS;
    delete process.env.PIP_EXTRA_INDEX_URL;
  });
  afterAll(() => {
    process.env = before;
  });

  test("the error says what to do", async () => {
    const failing = ensurePython(options());
    await expect(failing).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("the Python packages could not be fetched"),
      mend: expect.stringContaining("ESPALIER_PYTHON"),
    });
  });
});

describe("a home that cannot be written", () => {
  test("is one clear error", async () => {
    await writeFile(path.join(folder, "file"), "");
    const env = { ...options().env, ESPALIER_HOME: path.join(folder, "file") };
    await expect(ensurePython(options({ env }))).rejects.toMatchObject({
      message: expect.stringContaining("a part of its path is a file"),
      mend: expect.stringContaining("ESPALIER_HOME"),
    });
  });
});

describe("ESPALIER_PYTHON", () => {
  const own = (python: string) => ensurePython({ env: { ...process.env, ESPALIER_PYTHON: python } });

  test("is used as it is where it has everything", async () => {
    expect(await own(testPython())).toMatchObject({ python: testPython(), origin: "ESPALIER_PYTHON" });
  });

  test("without torch is refused, with the command that mends it", async () => {
    const bare = path.join(folder, "bare");
    await execa((await findPython()).command, ["-m", "venv", "--without-pip", bare]);
    const python = path.join(bare, "bin", "python");
    await expect(own(python)).rejects.toMatchObject({
      code: "input",
      message: expect.stringContaining("lacks torch>=2.6, transformers>=5.0"),
      mend: expect.stringMatching(/-m pip install torch==\d+\.\d+\.\d+ transformers==/),
    });
  });

  test("that is no Python, or too old a one, is refused", async () => {
    await expect(own("/bin/false")).rejects.toMatchObject({
      code: "input",
      message: expect.stringContaining("does not start as a Python"),
    });
    const old = path.join(folder, "old-python");
    await writeFile(old, '#!/bin/sh\necho \'{"version": "3.9.2", "packages": {}}\'\n');
    await chmod(old, 0o755);
    await expect(checkPython(old)).rejects.toThrow("is Python 3.9.2; Espalier runs on 3.11 to 3.13");
  });
});

test("a machine without Python is told what to install", async () => {
  await expect(findPython(["no-such-python"])).rejects.toMatchObject({
    message: expect.stringContaining("(found: none)"),
  });
});
