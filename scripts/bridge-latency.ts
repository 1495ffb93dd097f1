/**
 * Measures the bridge: how long a call takes that does nothing, with Python idle and with Python computing, and how many events
 * a second cross it.
 *
 *     ESPALIER_PYTHON=path/to/python npx jiti scripts/bridge-latency.ts [--json]
 */
import { devNull } from "node:os";
import path from "node:path";
import { Calls } from "../src/bridge/calls.js";
import { Interpreter } from "../src/bridge/interpreter.js";
import { runJob } from "../src/bridge/job.js";

const repetitions = 2_000;
const events = 100_000;

const python = process.env.ESPALIER_PYTHON;
if (!python) throw new Error("Set ESPALIER_PYTHON to the interpreter to measure.");
const fixtures = path.resolve(import.meta.dirname, "../test/fixtures/python");

const began = performance.now();
const interpreter = await Interpreter.start({ python, log: devNull, pythonPath: [fixtures] });
const calls = new Calls(interpreter);
await calls.open(devNull);
const startMs = round(performance.now() - began);

const measured = {
  startMs,
  calls: repetitions,
  idle: await callLatency(),
  computing: await whileComputing(callLatency),
  events,
  eventsPerSecond: await eventRate(),
};
await interpreter.end();
console.log(process.argv.includes("--json") ? JSON.stringify(measured) : written());

interface Latency {
  medianMs: number;
  p95Ms: number;
}

/** Of one call there and back. */
async function callLatency(): Promise<Latency> {
  const times: number[] = [];
  for (let call = 0; call < repetitions; call++) {
    const start = performance.now();
    await calls.ping();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { medianMs: round(times[repetitions / 2]!), p95Ms: round(times[Math.floor(repetitions * 0.95)]!) };
}

/** Measures while a job multiplies matrices, as a training step does. Nothing polls: a poll would be waited for. */
async function whileComputing<T>(measure: () => Promise<T>): Promise<T> {
  const job = await calls.start("espalier_test_jobs:multiply", {});
  while ((await calls.poll(job, 0, 1000)).events.length === 0);
  const result = await measure();
  await calls.cancel(job);
  while ((await calls.poll(job, 1, 1000)).state === "running");
  return result;
}

/** Events received a second, from the start of the job that sends them as fast as it can to its end. */
async function eventRate(): Promise<number> {
  let received = 0;
  const start = performance.now();
  await runJob(interpreter, calls, {
    name: "espalier_test_jobs:count",
    payload: { events },
    grace: 10_000,
    onEvent: () => received++,
  });
  const seconds = (performance.now() - start) / 1000;
  if (received !== events) throw new Error(`${received} of ${events} events arrived.`);
  return Math.round(events / seconds);
}

function written(): string {
  const { idle, computing, eventsPerSecond } = measured;
  return [
    `start of Python         ${startMs} ms`,
    `call, Python idle       ${idle.medianMs} ms median, ${idle.p95Ms} ms 95th percentile (${repetitions} calls)`,
    `call, Python computing  ${computing.medianMs} ms median, ${computing.p95Ms} ms 95th percentile`,
    `events                  ${eventsPerSecond.toLocaleString("en")} a second (${events.toLocaleString("en")} events)`,
  ].join("\n");
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
