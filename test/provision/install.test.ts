import { describe, expect, test } from "vitest";
import { followPip } from "../../src/provision/install.js";

function followed(total: number, lines: string[]): [string, number | undefined][] {
  const told: [string, number | undefined][] = [];
  const follow = followPip(total, (line, done) => told.push([line.replace("Python environment: ", ""), done]));
  for (const line of lines) follow(line);
  return told;
}

describe("pip's lines become progress", () => {
  test("where the index tells of packages before their files are fetched", () => {
    const lines = [
      "Collecting torch==2.13.0 (from -r runtime.lock (line 2))",
      "  Downloading torch-2.13.0-cp313-cp313-manylinux_2_28_x86_64.whl.metadata (29 kB)",
      "Collecting scikit-learn==1.9.1 (from -r runtime.lock (line 10))",
      "  Using cached scikit_learn-1.9.1-cp313-cp313-manylinux_2_28_x86_64.whl.metadata (11 kB)",
      "Downloading torch-2.13.0-cp313-cp313-manylinux_2_28_x86_64.whl (899.7 MB)",
      "Using cached scikit_learn-1.9.1-cp313-cp313-manylinux_2_28_x86_64.whl (8.9 MB)",
      "Installing collected packages: scikit-learn, torch",
    ];
    expect(followed(2, lines)).toEqual([
      ["torch (1 of 2)", 0.1],
      ["scikit-learn (2 of 2)", 0.2],
      ["torch (1 of 2)", 0.5],
      ["scikit_learn (2 of 2)", 0.8],
      ["installing", 0.85],
    ]);
  });

  test("where a package lies in a folder", () => {
    expect(followed(1, ["Processing /wheels/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl (from -r a.lock)"])).toEqual([
      ["torch (1 of 1)", 0.8],
    ]);
  });

  test("where a platform adds packages that no lock counts", () => {
    const lines = ["Collecting torch==2.13.0", "Collecting triton==3.7.0 (from torch==2.13.0)"];
    expect(followed(1, lines)).toEqual([
      ["torch (1 of 1)", 0.2],
      ["triton", 0.2],
    ]);
  });
});
