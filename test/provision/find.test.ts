import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findPython } from "../../src/provision/find.js";
import { type SmallSetUp, smallSetUp } from "./environment.js";
import { fakePython } from "./python.js";

let small: SmallSetUp;
let env: NodeJS.ProcessEnv;
beforeEach(async () => {
  small = await smallSetUp();
  env = { PATH: path.join(small.folder, "bin") };
});
afterEach(() => small.remove());

const onPath = (answer: string) => fakePython(path.join(small.folder, "bin"), { find_spec: `echo ${answer}` });

describe("on a machine", () => {
  test("with a supported Python, that is found", async () => {
    await onPath("3.13.2 True");
    expect(await findPython(env)).toEqual({ command: "python3", version: "3.13.2", supported: true, venv: true });
  });

  test("without Python, the error says which to install", async () => {
    await expect(findPython(env)).rejects.toMatchObject({
      code: "environment",
      message: "no Python 3.11 to 3.13 was found on the PATH (found: none)",
      mend: expect.stringContaining("ESPALIER_PYTHON"),
    });
  });

  test("with an old Python only, the error says what was found", async () => {
    await onPath("3.9.2 True");
    await expect(findPython(env)).rejects.toThrow("(found: python3 3.9.2)");
  });

  test("whose Python has no venv module, the error has the command that installs it", async () => {
    await onPath("3.11.2 False");
    await expect(findPython(env)).rejects.toMatchObject({
      message: "python3 (Python 3.11.2) cannot make environments: its venv module is missing",
      mend: expect.stringContaining("apt-get install python3.11-venv"),
    });
  });
});
