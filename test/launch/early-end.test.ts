import path from "node:path";
import { describe, expect, test } from "vitest";
import { Interrupted, PythonCrashed, PythonError } from "../../src/bridge/errors.js";
import { earlyEnd } from "../../src/launch/early-end.js";

const directory = path.resolve("runs", "mine-1");
const how = "What is done is kept. Continue with: espalier run --resume runs/mine-1";

function raised(type: string, message: string): PythonError {
  return new PythonError({ type, code: "run", message, mend: null, traceback: "", cause: null });
}

describe("a run that ended early says how it continues", () => {
  test("when the user stopped it", () => {
    expect(earlyEnd(new Interrupted(), directory)).toMatchObject({ code: "interrupted", exitCode: 130, mend: how });
  });

  test("when Python was killed, after what may have killed it", () => {
    const crash = { pid: 7, status: null, signal: "SIGKILL", log: "python.log", output: "" } as const;
    expect(earlyEnd(new PythonCrashed(crash), directory)).toMatchObject({
      message: "Python (process 7) ended unexpectedly, by signal SIGKILL.",
      mend: expect.stringMatching(/want of memory.*Continue with: espalier run --resume runs\/mine-1$/),
    });
  });

  test.each([
    raised("OSError", "[Errno 28] No space left on device: 'results.parquet'"),
    raised("SafetensorError", "Error while serializing: I/O error: No space left on device (os error 28)"),
    raised("OSError", "[Errno 122] Disk quota exceeded"),
  ])("when the disk is full: $message", (error) => {
    expect(earlyEnd(error, directory)).toMatchObject({
      message: `The disk is full: ${directory} takes no more.`,
      mend: `Free some space. ${how}`,
      cause: error,
    });
  });

  test("and a fault of the program stays what it is", () => {
    const error = raised("ValueError", "shape (28, 3) does not fit");
    expect(earlyEnd(error, directory)).toBe(error);
  });
});
