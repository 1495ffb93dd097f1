import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { espalier } from "./cli.js";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), "espalier-home-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

describe("espalier doctor", () => {
  test("finds everything in order on a ready Python", async () => {
    const { code, stdout } = await espalier(["doctor", "--json"], { env: { ESPALIER_HOME: home } });
    const { healthy, findings } = JSON.parse(stdout);
    expect(findings.filter((finding: { state: string }) => finding.state === "fail")).toEqual([]);
    expect(healthy).toBe(true);
    expect(code).toBe(0);
  });

  test("says what is missing where nothing was set up, and the command that mends it", async () => {
    const { code, stdout } = await espalier(["doctor"], { env: { ESPALIER_PYTHON: undefined, ESPALIER_HOME: home } });
    expect(stdout).toMatch(/FAIL {2}environment +not made yet\n +mend: espalier setup/);
    expect(code).toBe(1);
  });
});

test("espalier setup has nothing to do where ESPALIER_PYTHON is good", async () => {
  const { code, stdout } = await espalier(["setup"]);
  expect(stdout).toMatch(/^ready, nothing to do: Python 3\.\d+\.\d+/);
  expect(code).toBe(0);
});

test("espalier inspect shows sites, shapes and costs", async () => {
  const { code, stdout } = await espalier(["inspect", "minilm"]);
  expect(stdout).toContain("minilm: bert, 6 layers x 384, 22,713,216 parameters");
  expect(stdout).toContain("  mlp.up             384 x 1536  encoder.layer.N.intermediate.dense\n      lora 1: 1,920");
  expect(code).toBe(0);
});

test("espalier inspect of a Hub model without a network names the alternative", async () => {
  const { code, stderr } = await espalier(["inspect", "nobody/nothing"], { env: { HF_HUB_OFFLINE: "1" } });
  expect(stderr).toContain("could not be loaded from the Hub");
  expect(stderr).toContain("model.folder");
  expect(code).toBe(2);
});

test("every command's help has an example", async () => {
  for (const command of ["quickstart", "run", "inspect", "runs", "show", "export", "setup", "doctor"]) {
    const { code, stdout } = await espalier([command, "--help"]);
    expect(stdout).toContain(`Example:\n  espalier ${command}`);
    expect(code).toBe(0);
  }
});
