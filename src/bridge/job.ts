/** One job on the Python side: started, followed to its end, stopped if the user asks. */
import { z } from "zod";
import { EspalierError } from "../errors.js";
import type { Calls, Progress } from "./calls.js";
import { Interrupted, PythonCrashed, PythonError } from "./errors.js";
import { EventStream, type Numbered, NumberedSchema } from "./events.js";
import type { Interpreter } from "./interpreter.js";

/** How long one poll waits for an event, in milliseconds. A cancel cannot reach Python before the poll is answered. */
const pollWait = 100;

export interface JobOptions<Result, Event> {
  /** Called with each event, once and in order. If it throws, the job is stopped and fails with what it threw. */
  onEvent?: (event: Event) => void;
  /** The form of the events; by default any object with a `seq`. */
  event?: z.ZodType<Event>;
  /** The form of the result; by default it is not checked. */
  result?: z.ZodType<Result>;
  /** Stops the job. */
  signal?: AbortSignal;
}

export interface JobRequest<Result, Event> extends JobOptions<Result, Event> {
  /** The Python function, "module:function". */
  name: string;
  payload: Readonly<Record<string, unknown>>;
  /** How long the job may go on after it was asked to stop, in milliseconds; then the interpreter is killed. */
  grace: number;
}

/**
 * Resolves to the job's result.
 *
 * @throws PythonError if the job raised
 * @throws PythonCrashed if the interpreter ended
 * @throws Interrupted if the signal stopped it
 */
export async function runJob<Result = unknown, Event = Numbered>(
  interpreter: Interpreter,
  calls: Calls,
  request: JobRequest<Result, Event>,
): Promise<Result> {
  const { name, payload, signal, grace, onEvent = () => {} } = request;
  if (signal?.aborted) throw interrupted(signal);
  const events = new EventStream((request.event ?? NumberedSchema) as z.ZodType<Event>, onEvent);
  const job = await calls.start(name, payload);
  const brake = new Brake(interpreter, calls, job, grace);
  const stop = () => brake.pull();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  try {
    const end = await follow(calls, job, events, brake);
    if (end.state === "failed") throw new PythonError(end.error);
    if (end.state === "cancelled") throw interrupted(signal);
    return readResult(name, end.result, request.result);
  } catch (error) {
    if (signal?.aborted && !interpreter.alive) throw interrupted(signal, error);
    throw error instanceof PythonCrashed ? new PythonCrashed(error, events.last) : error;
  } finally {
    signal?.removeEventListener("abort", stop);
    brake.release();
  }
}

type End = Exclude<Progress, { state: "running" }>;

async function follow<Event>(calls: Calls, job: number, events: EventStream<Event>, brake: Brake): Promise<End> {
  let after = 0;
  let refused: { error: unknown } | undefined;
  for (;;) {
    const progress = await calls.poll(job, after, pollWait);
    after = progress.events.at(-1)?.seq ?? after;
    try {
      if (refused === undefined) events.receive(progress.events);
    } catch (error) {
      // The worker is free for the next job only when this one has ended, so its end is awaited all the same.
      refused = { error };
      brake.pull();
    }
    if (progress.state === "running") continue;
    if (refused !== undefined) throw refused.error;
    return progress;
  }
}

/** Asks a job to stop, and kills the interpreter if it does not within the grace period. */
class Brake {
  readonly #interpreter: Interpreter;
  readonly #calls: Calls;
  readonly #job: number;
  readonly #grace: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(interpreter: Interpreter, calls: Calls, job: number, grace: number) {
    this.#interpreter = interpreter;
    this.#calls = calls;
    this.#job = job;
    this.#grace = grace;
  }

  pull(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => void this.#interpreter.kill(this.#stuck()), this.#grace);
    // If Python dies meanwhile, the poll that is under way says so.
    this.#calls.cancel(this.#job).catch(() => {});
  }

  release(): void {
    clearTimeout(this.#timer);
  }

  #stuck(): EspalierError {
    const message = `Python was killed: its job did not stop within ${this.#grace / 1000} seconds of being asked to.`;
    return new EspalierError(message, { code: "run" });
  }
}

function interrupted(signal: AbortSignal | undefined, cause: unknown = signal?.reason): Interrupted {
  return new Interrupted("Interrupted.", { cause });
}

function readResult<Result>(name: string, result: unknown, schema: z.ZodType<Result> | undefined): Result {
  if (schema === undefined) return result as Result;
  const { success, data, error } = schema.safeParse(result);
  if (success) return data;
  throw new EspalierError(`The result of ${name} has an unknown form: ${z.prettifyError(error)}`, {
    code: "run",
    mend: "The Python half and the TypeScript half must be of one version: run espalier setup.",
    cause: error,
  });
}
