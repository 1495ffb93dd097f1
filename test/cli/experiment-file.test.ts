import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadExperiment } from "../../src/cli/experiment-file.js";
import { parseJson } from "../../src/cli/experiment-json.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "espalier-file-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  return file;
}

describe("JSON that is broken is answered with line, column and reason", () => {
  test.each([
    ['{\n  "a": oops\n}', "2:8", "this word is not one of JSON's"],
    ['{\n  "a": 1,\n}', "3:1", "a key in double quotes must stand here"],
    ['{\n  "a" 1\n}', "2:7", "a colon must stand here"],
    ['{"a": 1 "b": 2}', "1:9", "a comma must stand here"],
    ['{"a": 1', "1:8", "a closing } must stand here"],
    ['{"a": "b}', "1:7", "this text has no closing quote"],
    ['{"a": 1} // why', "1:10", "JSON has no comments"],
    ["", "1:1", "a value must stand here"],
  ])("%j", (text, place, reason) => {
    expect(() => parseJson("x.json", text)).toThrow(`x.json:${place}: is not JSON: ${reason}`);
  });

  test("and a byte order mark is no fault", () => {
    expect(parseJson("x.json", '\uFEFF{"a": 1}')).toEqual({ a: 1 });
  });
});

describe("a module", () => {
  test("may import others and may export a promise", async () => {
    await write("part.ts", 'export const name: string = "from-part";\n');
    const file = await write(
      "promise.ts",
      'import { name } from "./part";\nexport default Promise.resolve({ name });\n',
    );
    expect(await loadExperiment(file)).toEqual({ name: "from-part" });
  });

  test.each([
    ["rejects.ts", 'export default Promise.reject(new Error("no data today"));', "could not be loaded: no data today"],
    ["lost.ts", 'import x from "no-such-package";\nexport default x;', "Cannot find module 'no-such-package'"],
    ["syntax.ts", "export default {\n  name:\n};", /syntax\.ts:3:0$/],
    ["named.ts", "export const x: number = 1;", "has no experiment as its default export"],
    ["named.mjs", "export const x = 1;", "has no experiment as its default export"],
    ["function.mjs", "export default () => ({});", "has no experiment as its default export"],
  ])("%s is the user's to mend, and the message is one line", async (name, text, message) => {
    const failure = loadExperiment(await write(name, text));
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: "input", message: expect.not.stringContaining("\n") });
  });

  test.each([
    ["common.js", 'module.exports = require("espalier").budget.parameters(5);'],
    ["native.mjs", 'import { budget } from "espalier";\nexport default budget.parameters(5);'],
    ["typed.mts", 'import { budget, type Budget } from "espalier";\nexport default budget.parameters(5) as Budget;'],
  ])("%s may import espalier, which need not be installed where it lies", async (name, text) => {
    expect(await loadExperiment(await write(name, text))).toEqual({ parameters: 5 });
  });

  test("keeps the error that a builder of espalier raised, with its mend", async () => {
    const file = await write(
      "budget.ts",
      'import { budget } from "espalier";\nexport default budget.parameters("500%");\n',
    );
    await expect(loadExperiment(file)).rejects.toMatchObject({
      message: expect.stringMatching(/^budget\.parameters: "500%"/),
      mend: expect.stringContaining("a share between 0% and 100%"),
    });
  });
});
