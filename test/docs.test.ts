/** The documents say what the code does. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ExportSchema } from "../src/experiment/records.js";
import { openStore, type RunStore } from "../src/runs/store/store.js";
import { views } from "../src/runs/store/views.js";
import { commandNames } from "./cli/cli.js";
import { writeSyntheticRun } from "./fixtures/synthetic-run.js";

const root = path.resolve(import.meta.dirname, "..");
const read = (file: string) => readFile(path.join(root, file), "utf8");

test("docs/database-views.md lists every view and column (npx vitest run test/docs.test.ts --update writes it)", async () => {
  const parts = views.map(({ name, row, columns }) => {
    const lines = Object.entries(columns).map(
      ([column, { type, says }]) => `- \`${column}\` ${type}${says === "" ? "" : `: ${says}`}`,
    );
    return [`## ${name}`, "", `One row is ${row}.`, "", ...lines];
  });
  const text = [
    "# The views over all runs",
    "",
    "As `espalier query --views` lists them.",
    "",
    ...parts.flatMap((part) => [...part, ""]),
  ];
  await expect(text.join("\n")).toMatchFileSnapshot(path.join(root, "docs", "database-views.md"));
});

describe("the questions of docs/database.md", () => {
  let folder: string;
  let store: RunStore;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "espalier-docs-"));
    await writeSyntheticRun(folder, { steps: 10 });
    store = await openStore(folder);
  });
  afterAll(async () => {
    store.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("have answers", async () => {
    const [, code] = /```sql\n([\s\S]*?)```/.exec(await read("docs/database.md"))!;
    const questions = code!.split(";").filter((question) => question.trim() !== "");
    expect(questions).toHaveLength(3);
    for (const question of questions) expect((await store.sql(question)).length, question).toBeGreaterThan(0);
  });
});

test("docs/exports.md has a line for every format", async () => {
  const document = await read("docs/exports.md");
  for (const format of ExportSchema.shape.to.options) expect(document).toMatch(new RegExp(`^\\| \`${format}\` `, "m"));
});

test("the README names every command, and every family of backbones", async () => {
  const readme = await read("README.md");
  for (const command of await commandNames()) expect(readme).toMatch(new RegExp(`\`(espalier )?${command}\\b`));
  const families = await read("python/espalier_runtime/backbone/families.py");
  const [, table] = /^FAMILIES[^{]*\{\n([\s\S]*?)^\}/m.exec(families)!;
  const known = [...table!.matchAll(/^ {4}"([^"]+)"/gm)].map((match) => match[1]!);
  const [, listed] = /^Backbones[^:]*: ([\s\S]*?)\n\n/m.exec(readme)!;
  expect([...listed!.matchAll(/`([a-z0-9_-]+)`/g)].map((match) => match[1]!)).toEqual(known);
});

test("documents link to files that exist", async () => {
  for (const name of await readdir(path.join(root, "docs"))) {
    if (!name.endsWith(".md")) continue;
    for (const [, target] of (await read(`docs/${name}`)).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      await expect(read(path.join("docs", target!)), `${name}: ${target}`).resolves.toBeDefined();
    }
  }
});
