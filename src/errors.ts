/** What went wrong, as far as a caller can act on it. */
export type ErrorCode = "input" | "environment" | "run" | "interrupted";

const exitCodes: Record<ErrorCode, number> = { input: 2, environment: 1, run: 1, interrupted: 130 };

export interface ErrorDetails {
  code: ErrorCode;
  /** What to do next, as one sentence or command. */
  mend?: string | undefined;
  cause?: unknown;
}

/** An error written for the person who runs Espalier: what happened in the message, what to do next in `mend`. */
export class EspalierError extends Error {
  override readonly name: string = "EspalierError";
  readonly code: ErrorCode;
  readonly mend: string | undefined;

  constructor(message: string, { code, mend, cause }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.mend = mend;
  }

  /** The process exit code of a command that ends with this error: 1 the run failed, 2 the input was wrong, 130 interrupted. */
  get exitCode(): number {
    return exitCodes[this.code];
  }
}
