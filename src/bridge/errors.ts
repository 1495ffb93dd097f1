/** What can go wrong across the bridge: Python raised, Python died, or the user stopped it. */
import { z } from "zod";
import { EspalierError } from "../errors.js";

/** An exception as the Python side describes it; `cause` is the exception that led to it. */
export const FaultSchema = z.object({
  type: z.string(),
  code: z.enum(["input", "run"]),
  message: z.string(),
  mend: z.string().nullable(),
  traceback: z.string(),
  get cause() {
    return FaultSchema.nullable();
  },
});
export type Fault = z.output<typeof FaultSchema>;

/** A Python exception. Its `cause` is the exception that led to it, a `PythonError` as well. */
export class PythonError extends EspalierError {
  override readonly name = "PythonError";
  /** The class of the exception, such as `ValueError`. */
  readonly pythonType: string;
  /** Python's own text, one frame a paragraph, for `--verbose`. */
  readonly traceback: string;

  constructor(fault: Fault) {
    super(summary(fault), {
      code: fault.code,
      mend: fault.mend ?? undefined,
      cause: fault.cause === null ? undefined : new PythonError(fault.cause),
    });
    this.pythonType = fault.type;
    this.traceback = fault.traceback;
  }
}

export interface CrashDetails {
  pid: number;
  /** Python's exit status; null if a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
  /** The file that holds Python's output. */
  log: string;
  /** The last lines of that file. */
  output: string;
}

/** The interpreter ended without being asked to: every call that waited for it fails with this. */
export class PythonCrashed extends EspalierError {
  override readonly name = "PythonCrashed";
  readonly pid: number;
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly log: string;
  readonly output: string;
  /** The last event of the job that waited, if it had sent one. */
  readonly lastEvent: unknown;

  constructor(crash: CrashDetails, lastEvent?: unknown) {
    const how = crash.signal === null ? `with exit status ${crash.status}` : `by signal ${crash.signal}`;
    const said = crash.output === "" ? "" : ` Its last output:\n${crash.output}`;
    super(`Python (process ${crash.pid}) ended unexpectedly, ${how}.${said}`, { code: "run", mend: remedy(crash) });
    this.pid = crash.pid;
    this.status = crash.status;
    this.signal = crash.signal;
    this.log = crash.log;
    this.output = crash.output;
    this.lastEvent = lastEvent;
  }
}

/** The user stopped the job; what it had recorded by then is kept. */
export class Interrupted extends EspalierError {
  override readonly name = "Interrupted";

  constructor(message = "Interrupted.", details: { mend?: string; cause?: unknown } = {}) {
    super(message, { code: "interrupted", ...details });
  }
}

function summary({ type, code, message }: Fault): string {
  // A message for the user stands alone; any other needs its type to make sense: "KeyError: 'label'".
  const written = code === "input" || type === "EspalierError" || type === "TrialError";
  if (message === "") return type;
  return written ? message : `${type}: ${message}`;
}

function remedy({ signal, log }: CrashDetails): string {
  if (signal === "SIGKILL") {
    return "The system kills a process like this mostly for want of memory: lower training.batchSize or training.maxLength, or free memory.";
  }
  return `Python's whole output is in ${log}.`;
}
