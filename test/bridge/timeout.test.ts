import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Runtime } from "../../src/bridge/runtime.js";
import { jobNamed, startRuntime } from "./bridge.js";

/** pythonia's limit for a call that sets none, in milliseconds; 100,000 unless the environment says otherwise. */
const defaultLimit = 50;

let runtime: Runtime;
beforeAll(async () => {
  process.env.REQ_TIMEOUT = String(defaultLimit);
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

test("pythonia gives up a call that outlasts its default limit", async () => {
  const { python } = createRequire(import.meta.url)("pythonia");
  const time = await python("time");
  await expect(time.sleep(0.3)).rejects.toThrow(`Python didn't respond in time (${defaultLimit}ms)`);
});

test("a call of the bridge may outlast that limit many times", async () => {
  expect(await runtime.job(jobNamed("hold_interpreter"), { seconds: 0.6 })).toBe("held");
});
