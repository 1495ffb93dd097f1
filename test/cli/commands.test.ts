import { expect, test } from "vitest";
import { commandNames, espalier } from "./cli.js";

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
  const { stdout: help } = await espalier(["--help"]);
  expect(Math.max(...help.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  for (const command of await commandNames()) {
    const { code, stdout } = await espalier([command, "--help"]);
    expect(stdout).toMatch(new RegExp(`Example:\\n.*espalier ${command}`));
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(code).toBe(0);
  }
});
