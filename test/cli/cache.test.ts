import { mkdir, mkdtemp, readdir, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, expect, test } from "vitest";
import { espalier } from "./cli.js";

let home: string;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "espalier-cache-"));
});

async function entry(name: string, card: object | string, used: Date): Promise<void> {
  const folder = path.join(home, "prefixes", name);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "states.bin"), Buffer.alloc(2 ** 20));
  await writeFile(path.join(folder, "entry.json"), typeof card === "string" ? card : JSON.stringify(card));
  await utimes(folder, used, used);
}

const card = { backbone: "minilm", tasks: ["snips", "qnli"], place: "layer 4", type: "float32", rows: 2000, tokens: 9 };

test("espalier cache lists the entries, the last used first, and a damaged one as what it is", async () => {
  await entry("aaaa", card, new Date("2026-01-02T03:04:00Z"));
  await entry("bbbb", '{"rows"', new Date("2026-01-01T00:00:00Z"));
  const { code, stdout } = await espalier(["cache"], { env: { ESPALIER_HOME: home } });
  expect(stdout.split("\n").slice(1, 3)).toEqual([
    "minilm    snips, qnli  layer 4  float32  2,000  1.0 MiB  2026-01-02 03:04",
    "damaged                                         1.0 MiB  2026-01-01 00:00",
  ]);
  expect(stdout).toContain(`2.0 MiB in ${path.join(home, "prefixes")}`);
  expect(code).toBe(0);
});

test("espalier cache --clear takes all of them away", async () => {
  await entry("aaaa", card, new Date());
  const { stdout } = await espalier(["cache", "--clear", "--json"], { env: { ESPALIER_HOME: home } });
  expect(JSON.parse(stdout)).toMatchObject({ cleared: true, entries: [{ rows: 2000, place: "layer 4" }] });
  expect(await readdir(path.join(home, "prefixes"))).toEqual([]);
});

test("an empty cache is no error", async () => {
  const { code, stderr } = await espalier(["cache"], { env: { ESPALIER_HOME: home } });
  expect(stderr).toContain("nothing is kept");
  expect(code).toBe(0);
});
