/** The Python process, and the only place that imports pythonia. */
import type { ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { EspalierError } from "../errors.js";
import { type CrashDetails, PythonCrashed } from "./errors.js";
import { lastLines } from "./log.js";

/** The folder that holds `espalier_runtime`, seen from src/bridge and from dist/bridge alike. */
const runtimeFolder = fileURLToPath(new URL("../../python", import.meta.url));

/** How long the interpreter may take to answer for the first time, in milliseconds. */
const startLimit = 60_000;

/** How long it may take to end once asked to, before it is killed, in milliseconds. */
const endLimit = 2_000;

export interface InterpreterOptions {
  /** Path of the Python executable. */
  python: string;
  /** The file that takes Python's output. */
  log: string;
  /** Folders to import from, besides Espalier's own. */
  pythonPath?: readonly string[];
  /** Environment variables, besides those of this process. */
  env?: Readonly<Record<string, string>>;
}

/** What is used of pythonia; its own types leave most of it out. */
interface Pythonia {
  builtins: { python$(module: string, options: { $timeout: number }): Promise<Service> };
  python: { exit(): void };
  com: {
    proc: ChildProcess | null;
    start(): void;
    handlers: Record<string, unknown>;
    recieve(message: { r: string; key: "string"; val: string }): void;
  };
}

interface Service {
  dispatch$(method: string, payload: string, options: { $timeout: number }): Promise<string>;
}

interface Waiting {
  reject(error: Error): void;
}

/** One Python process with `espalier_runtime.service` loaded. */
export class Interpreter {
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #pythonia: Pythonia;
  readonly #process: ChildProcess;
  readonly #log: string;
  readonly #waiting = new Set<Waiting>();
  #service: Service | undefined;
  #asked: Error | undefined;
  #end: Error | undefined;

  /**
   * @throws EspalierError ("environment") if there is no such Python, or it cannot load `espalier_runtime`
   */
  static async start(options: InterpreterOptions): Promise<Interpreter> {
    const interpreter = new Interpreter(spawn(options), options);
    try {
      await interpreter.#load(options);
    } catch (error) {
      await interpreter.end();
      throw error;
    }
    return interpreter;
  }

  private constructor(pythonia: Pythonia, { python, log }: InterpreterOptions) {
    this.#pythonia = pythonia;
    this.#process = pythonia.com.proc!;
    this.#log = log;
    this.pid = this.#process.pid ?? 0;
    this.ended = new Promise((resolve) => {
      const finish = (end: Error) => {
        this.#finish(end);
        resolve();
      };
      this.#process.once("exit", (status, signal) => finish(this.#asked ?? this.#crashed(status, signal)));
      this.#process.on("error", (cause) => {
        if (this.#process.pid === undefined) finish(noPython(python, cause));
      });
    });
  }

  /**
   * What `service.dispatch` answers. There is no time limit: it waits as long as the process lives.
   *
   * @throws PythonCrashed as soon as the process ends
   */
  dispatch(method: string, payload: string): Promise<string> {
    return this.#whileAlive(() => this.#service!.dispatch$(method, payload, { $timeout: Number.POSITIVE_INFINITY }));
  }

  /** Whether the process is still there to answer. */
  get alive(): boolean {
    return this.#end === undefined;
  }

  /** Ends the process at once, whatever it does; calls that wait for it fail with `reason`. */
  async kill(reason: Error): Promise<void> {
    this.#asked ??= reason;
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  /** Ends the process and resolves when it is gone. */
  async end(): Promise<void> {
    if (!this.alive) return;
    this.#asked ??= new EspalierError("Python was closed.", { code: "run" });
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), endLimit);
    this.#process.kill("SIGTERM");
    await this.ended;
    clearTimeout(timer);
  }

  async #load({ python }: InterpreterOptions): Promise<void> {
    const limit = { reject: (_: Error) => {} };
    const timer = setTimeout(() => limit.reject(silent(python)), startLimit);
    try {
      const module = "espalier_runtime.service";
      const load = () => this.#pythonia.builtins.python$(module, { $timeout: Number.POSITIVE_INFINITY });
      this.#service = await this.#whileAlive(load, limit);
    } catch (cause) {
      throw cause instanceof EspalierError && cause.code === "environment" ? cause : unloadable(python, cause);
    } finally {
      clearTimeout(timer);
    }
  }

  #whileAlive<T>(call: () => Promise<T>, waiting: Waiting = { reject: () => {} }): Promise<T> {
    // Not Promise.race with one promise of the end: a run makes a million calls, and each would stay attached to it.
    return new Promise<T>((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      waiting.reject = reject;
      this.#waiting.add(waiting);
      const done = () => this.#waiting.delete(waiting);
      call().then(resolve, reject).finally(done);
    });
  }

  #finish(end: Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const { reject } of this.#waiting) reject(end);
    this.#waiting.clear();
    const { com, python } = this.#pythonia;
    // pythonia still awaits the answers; they are settled so that nothing is left behind for the next process.
    for (const r of Object.keys(com.handlers)) if (/^\d+$/.test(r)) com.recieve({ r, key: "string", val: "" });
    python.exit();
  }

  #crashed(status: number | null, signal: NodeJS.Signals | null): PythonCrashed {
    const crash: CrashDetails = { pid: this.pid, status, signal, log: this.#log, output: lastLines(this.#log) };
    return new PythonCrashed(crash);
  }
}

function spawn({ python, pythonPath = [], env = {} }: InterpreterOptions): Pythonia {
  const inherited = process.env.PYTHONPATH;
  const folders = [runtimeFolder, ...pythonPath, ...(inherited ? [inherited] : [])];
  return withEnvironment(
    { PYTHONUTF8: "1", ...env, PYTHON_BIN: python, PYTHONPATH: folders.join(path.delimiter) },
    () => {
      // `require` and not `import`: a process that cannot be started says so in its next tick, and an `import` would not be
      // over by then. pythonia starts Python when it is loaded, and later only if it is told to.
      const pythonia = createRequire(import.meta.url)("pythonia") as Pythonia;
      if (pythonia.com.proc === null) pythonia.com.start();
      return pythonia;
    },
  );
}

/** pythonia passes this process's environment on as it is; so it is changed, for the moment of the call only. */
function withEnvironment<T>(variables: Readonly<Record<string, string>>, call: () => T): T {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return call();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

const doctor = "Run espalier doctor: it says what is missing and the command that mends it.";

function noPython(python: string, cause: Error): EspalierError {
  return new EspalierError(`Python could not be started: ${python} (${cause.message}).`, {
    code: "environment",
    mend: doctor,
    cause,
  });
}

function silent(python: string): EspalierError {
  const message = `${python} did not answer within ${startLimit / 1000} seconds of its start.`;
  return new EspalierError(message, { code: "environment", mend: doctor });
}

function unloadable(python: string, cause: unknown): EspalierError {
  // pythonia's exceptions have no message; Python's own last line is the last of their stack.
  const said = cause instanceof Error ? cause.message || cause.stack?.trim().split("\n").at(-1) : String(cause);
  return new EspalierError(`${python} cannot load espalier_runtime: ${said}`, {
    code: "environment",
    mend: doctor,
    cause,
  });
}
