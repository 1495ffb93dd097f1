import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PythonError } from "../../src/bridge/errors.js";
import type { Runtime } from "../../src/bridge/runtime.js";
import { jobNamed, rejection, startRuntime } from "./bridge.js";

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime();
});
afterAll(() => runtime.close());

const failure = (name: string) => rejection(runtime.job(name, {}), PythonError);

describe("a Python exception", () => {
  test("carries its type, message, traceback and the exception that caused it", async () => {
    const error = await failure(jobNamed("fail_with_cause"));
    expect(error.pythonType).toBe("ValueError");
    expect(error.message).toBe("ValueError: row 7 has no label");
    expect(error.code).toBe("run");
    expect(error.exitCode).toBe(1);
    expect(error.traceback).toMatch(/espalier_test_jobs\.py", line \d+, in fail_with_cause/);
    expect(error.cause).toBeInstanceOf(PythonError);
    const cause = error.cause as PythonError;
    expect([cause.pythonType, cause.message, cause.cause]).toEqual(["KeyError", "KeyError: 'label'", undefined]);
  });

  test("that is the user's to mend keeps its words and its mend, and ends a command with exit code 2", async () => {
    const error = await failure(jobNamed("fail_with_input"));
    expect(error.message).toBe("tasks[0].train: there is no file rows.jsonl");
    expect(error.mend).toBe("Check the path.");
    expect(error.exitCode).toBe(2);
  });

  test("that asks the interpreter to exit fails the job and leaves the interpreter", async () => {
    expect((await failure(jobNamed("exit_interpreter"))).message).toBe("SystemExit: 3");
    expect(await runtime.job(jobNamed("echo"), { still: "here" })).toEqual({ still: "here" });
  });

  test("comes from a result that JSON cannot hold", async () => {
    expect((await failure(jobNamed("not_json"))).message).toBe("TypeError: set has no form in JSON: {1, 2, 3}");
  });

  test("comes from a module that is not installed", async () => {
    expect((await failure("no_such_module:run")).message).toBe("ModuleNotFoundError: No module named 'no_such_module'");
  });

  test.each([
    [jobNamed("no_such_job"), /the module espalier_test_jobs has no function no_such_job/],
    ["espalier_test_jobs", /A job is named "module:function"; given: "espalier_test_jobs"/],
  ])("comes from the job name %s", async (name, message) => {
    expect((await failure(name)).message).toMatch(message);
  });
});
