import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { EventStream, NumberedSchema, real } from "../../src/bridge/events.js";
import type { Runtime } from "../../src/bridge/runtime.js";
import { EspalierError } from "../../src/errors.js";
import { jobNamed, rejection, startRuntime } from "./bridge.js";

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

describe("events", () => {
  test("arrive ten thousand and more, none lost and in order", async () => {
    const indices: unknown[] = [];
    const onEvent = (event: { seq: number; index?: unknown }) => indices.push([event.seq, event.index]);
    await runtime.job(jobNamed("count"), { events: 12_000 }, { onEvent });
    expect(indices).toEqual(Array.from({ length: 12_000 }, (_, index) => [index + 1, index]));
  });

  test("are numbered from 1 in every job", async () => {
    for (let round = 0; round < 2; round++) {
      const numbers: number[] = [];
      await runtime.job(jobNamed("count"), { events: 3 }, { onEvent: ({ seq }) => numbers.push(seq) });
      expect(numbers).toEqual([1, 2, 3]);
    }
  });

  test("carry numbers that are not finite", async () => {
    const event = z.looseObject({ seq: z.int(), loss: real(), history: z.array(real()) });
    const received: unknown[] = [];
    const result = await runtime.job(
      jobNamed("not_finite"),
      {},
      { event, onEvent: ({ loss, history }) => received.push(loss, ...history), result: z.object({ loss: real() }) },
    );
    expect(received).toEqual([Number.NaN, 1.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect(result).toEqual({ loss: Number.NaN });
  });

  test("of another form than the caller expects stop the job", async () => {
    const event = z.object({ seq: z.int(), loss: z.number() });
    const error = await rejection(runtime.job(jobNamed("train"), {}, { event }), EspalierError);
    expect(error.message).toMatch(/^Event 1 from Python has an unknown form/);
    expect(await runtime.job(jobNamed("echo"), { free: true })).toEqual({ free: true });
  });

  test("stop the job if the listener throws, and the job fails with what it threw", async () => {
    const full = new Error("disk full");
    const onEvent = () => {
      throw full;
    };
    expect(await rejection(runtime.job(jobNamed("train"), {}, { onEvent }), Error)).toBe(full);
    expect(await runtime.job(jobNamed("echo"), { free: true })).toEqual({ free: true });
  });
});

describe("an event stream", () => {
  const stream = () => new EventStream(NumberedSchema, () => {});

  test.each([
    ["a gap", [{ seq: 1 }, { seq: 3 }], "Event 3 came from Python after event 1."],
    ["a repetition", [{ seq: 1 }, { seq: 1 }], "Event 1 came from Python after event 1."],
  ])("refuses %s", (_, batch, message) => {
    expect(() => stream().receive(batch)).toThrow(message);
  });
});

describe("real", () => {
  test.each([
    [2.5, 2.5],
    ["NaN", Number.NaN],
    ["-Infinity", Number.NEGATIVE_INFINITY],
  ])("reads %j", (written, value) => {
    expect(real().parse(written)).toBe(value);
  });

  test.each(["1.5", "nan", null])("refuses %j", (written) => {
    expect(real().safeParse(written).success).toBe(false);
  });
});
