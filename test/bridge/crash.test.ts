import { rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { PythonCrashed } from "../../src/bridge/errors.js";
import type { Runtime } from "../../src/bridge/runtime.js";
import { jobNamed, rejection, startRuntime } from "./bridge.js";

let runtime: Runtime;
afterEach(async () => {
  await runtime.close();
  await rm(path.dirname(runtime.log), { recursive: true, force: true });
});

describe("the end of the interpreter", () => {
  test("by kill -9 fails the job that runs within a second or two, with its last event", async () => {
    runtime = await startRuntime();
    let killed = 0;
    const onEvent = ({ seq }: { seq: number }) => {
      if (seq !== 2) return;
      killed = performance.now();
      process.kill(runtime.pid, "SIGKILL");
    };
    const error = await rejection(runtime.job(jobNamed("train"), {}, { onEvent }), PythonCrashed);
    expect(performance.now() - killed).toBeLessThan(2000);
    expect([error.signal, error.status, error.code]).toEqual(["SIGKILL", null, "run"]);
    expect(error.lastEvent).toMatchObject({ type: "step" });
    expect(error.mend).toMatch(/want of memory/);
  });

  test("by a segmentation fault shows Python's last output and where it was", async () => {
    runtime = await startRuntime();
    const error = await rejection(runtime.job(jobNamed("die_by_segfault"), {}), PythonCrashed);
    expect(error.signal).toBe("SIGSEGV");
    expect(error.message).toContain("about to read address 0");
    expect(error.message).toContain("in die_by_segfault");
    expect(error.mend).toContain(runtime.log);
  });

  test("by an exit of its own tells the exit status", async () => {
    runtime = await startRuntime();
    const error = await rejection(runtime.job(jobNamed("die_by_exit"), {}), PythonCrashed);
    expect([error.status, error.signal]).toEqual([7, null]);
  });

  test("fails what waits behind the job, and every later call", async () => {
    runtime = await startRuntime();
    const running = runtime.job(jobNamed("die_by_exit"), {});
    const waiting = runtime.job(jobNamed("echo"), {});
    await rejection(running, PythonCrashed);
    await rejection(waiting, PythonCrashed);
    await rejection(runtime.hello(), PythonCrashed);
  });

  test("leaves room for a new runtime", async () => {
    runtime = await startRuntime();
    await rejection(runtime.job(jobNamed("die_by_exit"), {}), PythonCrashed);
    await rm(path.dirname(runtime.log), { recursive: true, force: true });
    runtime = await startRuntime();
    expect(await runtime.job(jobNamed("echo"), { again: true })).toEqual({ again: true });
  });
});
