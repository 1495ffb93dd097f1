import { describe, expect, test } from "vitest";
import { EspalierError } from "../../src/errors.js";
import { pipFailure, storageFailure, venvFailure } from "../../src/provision/failures.js";

describe("what pip says becomes what happened and what to do", () => {
  test.each([
    [
      "an index that does not answer",
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\nERROR: Could not find a version that satisfies the requirement six==1.17.0 (from versions: none)\nERROR: No matching distribution found for six==1.17.0",
      "the Python packages could not be fetched: No matching distribution found for six==1.17.0",
      "Check the network",
    ],
    [
      "a package that this machine cannot have",
      "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: 2.1.0, 2.2.0)\nERROR: No matching distribution found for torch==2.13.0",
      `a Python package is not offered for this machine and Python (${process.platform} ${process.arch}): No matching distribution found for torch==2.13.0`,
      "Put another Python",
    ],
    [
      "a full disk",
      "Installing collected packages: torch\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
      "the Python environment could not be made: the disk is full",
      "Free about 3 GiB",
    ],
    [
      "anything else",
      "ERROR: Package 'x' requires a different Python: 3.11.7 not in '>=3.12'\nnotice",
      "pip failed: Package 'x' requires a different Python: 3.11.7 not in '>=3.12'",
      "--verbose",
    ],
  ])("%s", (_, output, message, mend) => {
    const failure = pipFailure(output);
    expect(failure.message).toBe(message);
    expect(failure.mend).toContain(mend);
    expect((failure.cause as Error).message).toBe(output);
  });
});

test("a disk that is full before pip is there is told as that", () => {
  const output = "Error: [Errno 28] No space left on device: '/home/a/.cache/espalier/environments/1/bin'";
  expect(venvFailure("python3", output).message).toBe("the Python environment could not be made: the disk is full");
});

test("an error that is not of the file system is left as it is", () => {
  const error = new EspalierError("something else", { code: "run" });
  expect(storageFailure(error, "folder")).toBe(error);
});
