/** The calls that the Python service answers, each checked on its way in. */
import { z } from "zod";
import { EspalierError } from "../errors.js";
import { FaultSchema, PythonError } from "./errors.js";
import { NumberedSchema } from "./events.js";
import type { Interpreter } from "./interpreter.js";

const HelloSchema = z.object({
  python: z.string().describe("version, such as 3.12.4"),
  pid: z.int(),
  packages: z.record(z.string(), z.string()).describe("every installed package and its version"),
});
export type Hello = z.output<typeof HelloSchema>;

const StartedSchema = z.object({ job: z.int() });

const events = z.array(NumberedSchema);
const ProgressSchema = z.discriminatedUnion("state", [
  z.object({ state: z.literal("running"), events }),
  z.object({ state: z.literal("done"), events, result: z.unknown() }),
  z.object({ state: z.literal("failed"), events, error: FaultSchema }),
  z.object({ state: z.literal("cancelled"), events }),
]);
export type Progress = z.output<typeof ProgressSchema>;

const NothingSchema = z.object({});

const ErrorSchema = z.object({ error: FaultSchema });

/** The methods of `espalier_runtime.service`. Each rejects with `PythonError` if Python raised, `PythonCrashed` if it died. */
export class Calls {
  readonly #interpreter: Interpreter;

  constructor(interpreter: Interpreter) {
    this.#interpreter = interpreter;
  }

  /** Sends Python's output to the file `log`; the first call of all. */
  async open(log: string): Promise<void> {
    await this.#call("open", { log }, NothingSchema);
  }

  hello(): Promise<Hello> {
    return this.#call("hello", {}, HelloSchema);
  }

  /** Does nothing, there and back. */
  async ping(): Promise<void> {
    await this.#call("ping", {}, NothingSchema);
  }

  /** Queues the job "module:function"; resolves to its number. */
  async start(name: string, payload: Readonly<Record<string, unknown>>): Promise<number> {
    const { job } = await this.#call("start", { job: name, payload }, StartedSchema);
    return job;
  }

  /** The events after number `after`, once there is one, or the job's end; after `waitMs` at the latest. */
  poll(job: number, after: number, waitMs: number): Promise<Progress> {
    return this.#call("poll", { job, after, waitMs }, ProgressSchema);
  }

  /** Asks the job to stop at its next step. */
  async cancel(job: number): Promise<void> {
    await this.#call("cancel", { job }, NothingSchema);
  }

  /** Asks every job to stop, and writes out what Python had still to print. */
  async close(): Promise<void> {
    await this.#call("close", {}, NothingSchema);
  }

  async #call<T>(method: string, payload: object, schema: z.ZodType<T>): Promise<T> {
    const text = await this.#interpreter.dispatch(method, JSON.stringify(payload));
    const answer = JSON.parse(text);
    // Every answer but an error has this member, and a run makes so many that each is read once.
    if (answer?.ok === undefined) throw new PythonError(read(ErrorSchema, answer, method).error);
    return read(schema, answer.ok, method);
  }
}

function read<T>(schema: z.ZodType<T>, value: unknown, method: string): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  throw new EspalierError(`Python's answer to ${method} has an unknown form: ${z.prettifyError(error)}`, {
    code: "run",
    mend: "The Python half and the TypeScript half must be of one version: run espalier setup.",
    cause: error,
  });
}
