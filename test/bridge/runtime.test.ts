import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Interrupted } from "../../src/bridge/errors.js";
import { Runtime } from "../../src/bridge/runtime.js";
import { EspalierError } from "../../src/errors.js";
import { isAlive, jobNamed, rejection, startRuntime } from "./bridge.js";

let runtime: Runtime | undefined;
afterEach(() => runtime?.close());

describe("a runtime", () => {
  test("says which Python it runs", async () => {
    runtime = await startRuntime();
    const hello = await runtime.hello();
    expect(hello.pid).toBe(runtime.pid);
    expect(hello.python).toMatch(/^3\.1[123]\./);
    expect(hello.packages.torch).toMatch(/^\d/);
  });

  test("hands a payload of megabytes there and back unchanged", async () => {
    runtime = await startRuntime();
    const payload = { text: 'Spalierobst \u{1f34f} \ud800 \\ " \n'.repeat(100_000), nested: [{ ffid: 1, r: 2 }, null] };
    expect(await runtime.job(jobNamed("echo"), payload)).toEqual(payload);
  });

  test("is refused while there is another, and allowed once that is closed", async () => {
    runtime = await startRuntime();
    const error = await rejection(startRuntime(), EspalierError);
    expect(error.message).toBe("This process has a Python runtime already, and can have only one at a time.");
    await runtime.close();
    runtime = await startRuntime();
    expect(await runtime.job(jobNamed("echo"), { second: true })).toEqual({ second: true });
  });

  test("stops its jobs when it is closed, and leaves neither a process nor its temporary log", async () => {
    runtime = await startRuntime();
    const { pid, log } = runtime;
    const job = rejection(runtime.job(jobNamed("train"), {}), Interrupted);
    await runtime.close();
    await job;
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(path.dirname(log))).toBe(false);
    await rejection(runtime.job(jobNamed("echo"), {}), Interrupted);
  });

  test("is closed at the end of its block", async () => {
    let pid: number;
    {
      await using scoped = await startRuntime();
      pid = scoped.pid;
      expect(isAlive(pid)).toBe(true);
    }
    expect(isAlive(pid)).toBe(false);
  });

  test("writes what Python prints to the log it was given, and keeps it", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "espalier-test-"));
    const log = path.join(folder, "python.log");
    runtime = await startRuntime({ log });
    expect(await runtime.job(jobNamed("print_everywhere"), {})).toBe("");
    await runtime.close();
    const lines = (await readFile(log, "utf8")).trim().split("\n").sort();
    expect(lines).toEqual([
      "from a file descriptor",
      "from a file descriptor to stderr",
      "from a process",
      "from print",
      "from print to stderr",
    ]);
    await rm(folder, { recursive: true });
  });

  test("hides pythonia from Python's own child processes, and leaves this process's environment as it was", async () => {
    const before = { ...process.env };
    runtime = await startRuntime({ env: { ESPALIER_TEST_VARIABLE: "set" } });
    expect({ ...process.env }).toEqual(before);
    const seen = (await runtime.job(jobNamed("environment"), {})) as {
      variables: Record<string, string>;
      path: string[];
      main: string | null;
    };
    expect(seen.variables.ESPALIER_TEST_VARIABLE).toBe("set");
    expect(seen.variables).not.toHaveProperty("NODE_CHANNEL_FD");
    expect(seen.path.filter((folder) => folder.includes("pythonia"))).toEqual([]);
    expect(seen.main).toBeNull();
  });
});

describe("a runtime cannot start", () => {
  test("from a Python that is not there", async () => {
    const error = await rejection(Runtime.start({ python: "/no/such/python" }), EspalierError);
    expect(error.code).toBe("environment");
    expect(error.message).toMatch(/^Python could not be started: \/no\/such\/python \(.*ENOENT/);
    expect(error.mend).toMatch(/espalier doctor/);
  });

  test("from a program that is no Python", async () => {
    const error = await rejection(Runtime.start({ python: "/bin/false" }), EspalierError);
    expect(error.code).toBe("environment");
    expect(error.message).toMatch(
      /^\/bin\/false cannot load espalier_runtime: .*ended unexpectedly, with exit status 1/,
    );
  });

  test("with a log that cannot be written, and leaves room for one that can", async () => {
    const error = await rejection(startRuntime({ log: "/no/such/folder/python.log" }), EspalierError);
    expect(error.message).toBe("Python's log /no/such/folder/python.log cannot be written: No such file or directory.");
    runtime = await startRuntime();
  });

  test("if a module of that name stands in the way, and says what Python said", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "espalier-test-"));
    await writeFile(path.join(folder, "sitecustomize.py"), "import sys\nsys.modules['espalier_runtime'] = None\n");
    const error = await rejection(startRuntime({ pythonPath: [folder] }), EspalierError);
    expect(error.code).toBe("environment");
    expect(error.message).toMatch(/cannot load espalier_runtime: .*ModuleNotFoundError/);
    await rm(folder, { recursive: true });
    runtime = await startRuntime();
  });
});
