import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // pythonia keeps one interpreter for a process: a test file must have a process of its own.
    pool: "forks",
    // Half of the files start Python, which takes whole cores.
    maxWorkers: 2,
    // A cold import of PyTorch on a busy machine takes many seconds.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
