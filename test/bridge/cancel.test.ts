import { afterEach, describe, expect, test } from "vitest";
import { Interrupted } from "../../src/bridge/errors.js";
import type { Runtime } from "../../src/bridge/runtime.js";
import { isAlive, jobNamed, rejection, startRuntime } from "./bridge.js";

let runtime: Runtime;
afterEach(() => runtime.close());

describe("a cancel", () => {
  test("stops a step loop in the middle and leaves the interpreter for the next job", async () => {
    runtime = await startRuntime();
    const user = new AbortController();
    const steps: number[] = [];
    const onEvent = ({ seq }: { seq: number }) => {
      steps.push(seq);
      if (seq === 3) user.abort();
    };
    const error = await rejection(runtime.job(jobNamed("train"), {}, { onEvent, signal: user.signal }), Interrupted);
    expect([error.code, error.exitCode]).toEqual(["interrupted", 130]);
    expect(steps.length).toBeGreaterThanOrEqual(3);
    expect(steps.length).toBeLessThan(50);
    expect(await runtime.job(jobNamed("echo"), { next: 1 })).toEqual({ next: 1 });
  });

  test("lets the job finish its records: events sent while it stops still arrive", async () => {
    runtime = await startRuntime();
    const user = new AbortController();
    const types: unknown[] = [];
    const onEvent = ({ type }: { type?: unknown }) => {
      types.push(type);
      user.abort();
    };
    await rejection(runtime.job(jobNamed("tidy"), {}, { onEvent, signal: user.signal }), Interrupted);
    expect(types.at(-1)).toBe("goodbye");
  });

  test("kills the interpreter if the job does not stop within the grace period", async () => {
    runtime = await startRuntime({ grace: 300 });
    const user = new AbortController();
    const onEvent = () => user.abort();
    const error = await rejection(runtime.job(jobNamed("stubborn"), {}, { onEvent, signal: user.signal }), Interrupted);
    expect((error.cause as Error).message).toBe(
      "Python was killed: its job did not stop within 0.3 seconds of being asked to.",
    );
    expect(isAlive(runtime.pid)).toBe(false);
  });

  test("before the start keeps the job from starting", async () => {
    runtime = await startRuntime();
    const events: unknown[] = [];
    const options = { onEvent: (event: unknown) => events.push(event), signal: AbortSignal.abort() };
    await rejection(runtime.job(jobNamed("train"), {}, options), Interrupted);
    expect(events).toEqual([]);
  });

  test("of a job that waits for another stops that job alone", async () => {
    runtime = await startRuntime();
    const [first, second] = [new AbortController(), new AbortController()];
    const running = runtime.job(jobNamed("train"), {}, { signal: first.signal });
    const waiting = runtime.job(jobNamed("train"), {}, { signal: second.signal });
    second.abort();
    first.abort();
    await Promise.all([rejection(running, Interrupted), rejection(waiting, Interrupted)]);
    expect(await runtime.job(jobNamed("echo"), {})).toEqual({});
  });
});

test("Ctrl-C at the terminal reaches Python as well, and does not end it", async () => {
  runtime = await startRuntime();
  process.kill(runtime.pid, "SIGINT");
  expect(await runtime.job(jobNamed("echo"), { alive: true })).toEqual({ alive: true });
});
