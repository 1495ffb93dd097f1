/** The in-process Python: one interpreter for a Node process, and the jobs that run in it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { Calls, type Hello } from "./calls.js";
import type { Numbered } from "./events.js";
import { Interpreter } from "./interpreter.js";
import { type JobOptions, runJob } from "./job.js";

export interface RuntimeOptions {
  /** Path of the Python executable. */
  python: string;
  /** The file that takes what Python prints; by default a temporary one, removed by `close`. */
  log?: string;
  /** Folders to import Python modules from, besides Espalier's own. */
  pythonPath?: readonly string[];
  /** Environment variables for Python, besides those of this process. */
  env?: Readonly<Record<string, string>>;
  /** How long a job may go on after it was asked to stop, in milliseconds; then the interpreter is killed. */
  grace?: number;
}

/** pythonia keeps one interpreter for the whole process. */
let taken = false;

/**
 * Python, ready for jobs.
 *
 *     await using runtime = await Runtime.start({ python });
 *     const record = await runtime.job("espalier_runtime.runner:run_plan", plan, { onEvent });
 */
export class Runtime {
  readonly #interpreter: Interpreter;
  readonly #calls: Calls;
  readonly #grace: number;
  readonly #temporary: string | undefined;
  readonly #closing = new AbortController();
  readonly #jobs = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;
  /** The file that takes what Python prints. */
  readonly log: string;

  /**
   * Starts Python. It ends with `close`, and with this process.
   *
   * @throws EspalierError ("environment") if the interpreter cannot be used; ("run") if this process has a runtime already
   */
  static async start(options: RuntimeOptions): Promise<Runtime> {
    if (process.platform === "win32") throw windows();
    if (taken) throw second();
    taken = true;
    let temporary: string | undefined;
    try {
      if (options.log === undefined) temporary = await mkdtemp(path.join(tmpdir(), "espalier-"));
      const log = path.resolve(options.log ?? path.join(temporary!, "python.log"));
      const interpreter = await Interpreter.start({ ...options, log });
      interpreter.ended.then(() => {
        taken = false;
      });
      const calls = new Calls(interpreter);
      await calls.open(log).catch(async (error) => {
        await interpreter.end();
        throw error;
      });
      return new Runtime(interpreter, calls, { log, temporary, grace: options.grace ?? 10_000 });
    } catch (error) {
      taken = false;
      if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(
    interpreter: Interpreter,
    calls: Calls,
    { log, temporary, grace }: { log: string; temporary: string | undefined; grace: number },
  ) {
    this.#interpreter = interpreter;
    this.#calls = calls;
    this.#grace = grace;
    this.#temporary = temporary;
    this.log = log;
  }

  /** The process id of the interpreter. */
  get pid(): number {
    return this.#interpreter.pid;
  }

  /** Python's version and those of its packages. */
  hello(): Promise<Hello> {
    return this.#calls.hello();
  }

  /**
   * Runs the Python function `name`, "module:function", and resolves to its result. Jobs run one after the other.
   *
   * @throws PythonError if it raised, with Python's traceback and causes
   * @throws PythonCrashed if the interpreter ended
   * @throws Interrupted if `signal` or `close` stopped it
   */
  job<Result = unknown, Event = Numbered>(
    name: string,
    payload: Readonly<Record<string, unknown>>,
    options: JobOptions<Result, Event> = {},
  ): Promise<Result> {
    const closing = this.#closing.signal;
    const signal = options.signal === undefined ? closing : AbortSignal.any([options.signal, closing]);
    const job = runJob(this.#interpreter, this.#calls, { ...options, name, payload, signal, grace: this.#grace });
    this.#jobs.add(job);
    const forget = () => this.#jobs.delete(job);
    job.then(forget, forget);
    return job;
  }

  /** Stops every job, ends Python and resolves when it is gone. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#jobs);
    const crashed = !this.#interpreter.alive;
    if (!crashed) {
      // Python may die in this very moment, and is then as gone as it should be.
      await this.#calls.close().catch(() => {});
      await this.#interpreter.end();
    }
    // After a crash the log is what explains it.
    if (this.#temporary !== undefined && !crashed) await rm(this.#temporary, { recursive: true, force: true });
  }
}

function second(): EspalierError {
  return new EspalierError("This process has a Python runtime already, and can have only one at a time.", {
    code: "run",
    mend: "Share the runtime, or close it before another is started.",
  });
}

function windows(): EspalierError {
  return new EspalierError("Espalier runs Python on Linux and macOS only.", {
    code: "environment",
    mend: "On Windows, use it inside WSL.",
  });
}
