import path from "node:path";
import { execa } from "execa";
import { expect, test, vi } from "vitest";

const root = path.resolve(import.meta.dirname, "..");

// Each notebook has a TypeScript compiler of its own to start.
vi.setConfig({ testTimeout: 300_000 });

test("the notebooks' cells give the outputs that they are shipped with", async () => {
  const jiti = path.join(root, "node_modules", ".bin", "jiti");
  const { exitCode, all } = await execa(jiti, [path.join(root, "scripts", "notebooks.ts"), "--check"], {
    reject: false,
    all: true,
  });
  expect(all).toMatch(/^one-run\.ipynb: as it stands$/m);
  expect(exitCode, all).toBe(0);
});
