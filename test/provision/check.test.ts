import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkPython, mendCommand } from "../../src/provision/check.js";
import { testPython } from "../python.js";
import { type SmallSetUp, smallSetUp } from "./environment.js";
import { fakePython } from "./python.js";

let small: SmallSetUp;
beforeEach(async () => {
  small = await smallSetUp();
});
afterEach(() => small.remove());

const answering = (version: string, packages: Record<string, string | null> = {}) =>
  fakePython(path.join(small.folder, "bin"), { json: `echo '${JSON.stringify({ version, packages })}'` });

describe("a Python", () => {
  test("of the tests lacks nothing, for running and for testing", async () => {
    expect((await checkPython(testPython(), { extras: "test" })).lacking).toEqual([]);
  });

  test.each(["3.10.14", "3.14.0", "2.7.18"])("%s is out of range", async (version) => {
    await expect(checkPython(await answering(version))).rejects.toMatchObject({
      code: "input",
      message: expect.stringContaining(`is Python ${version}; Espalier runs on 3.11 to 3.13`),
    });
  });

  test.each([
    ["2.5.1", true],
    ["2.6.0", false],
    ["2.10.0+cu130", false],
    ["3.0.0rc1", false],
  ])("with torch %s lacks a newer one: %s", async (torch, lacks) => {
    const { lacking } = await checkPython(await answering("3.12.0", { torch }));
    expect(lacking.includes("torch>=2.6")).toBe(lacks);
  });

  test("that lacks something is mended with the versions that Espalier is tested with", async () => {
    const python = await answering("3.12.0");
    expect(
      await mendCommand({ python, version: "3.12.0", packages: {}, lacking: ["peft>=0.18", "mypy>=1.18"] }),
    ).toMatch(/^\S+python3 -m pip install peft==\d+\.\d+\.\d+ mypy==\d+\.\d+\.\d+$/);
  });
});

describe("what is no Python is refused in one line:", () => {
  test.each(["/bin/false", "/bin/true", "/bin", "/no/such/python"])("%s", async (command) => {
    await expect(checkPython(command)).rejects.toMatchObject({
      code: "input",
      message: expect.stringMatching(new RegExp(`^${command} does not start as a Python: .+$`)),
    });
  });
});
