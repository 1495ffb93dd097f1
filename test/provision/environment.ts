/** A set-up of its own for a test: a folder, an empty home in it, and one small package to install. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { EnsureOptions } from "../../src/provision/ensure.js";

export interface SmallSetUp {
  folder: string;
  home: string;
  lock: string;
  options: EnsureOptions & { env: NodeJS.ProcessEnv; locks: string[] };
  remove(): Promise<void>;
}

export async function smallSetUp(): Promise<SmallSetUp> {
  const folder = await mkdtemp(path.join(tmpdir(), "espalier-provision-"));
  const home = path.join(folder, "home");
  const lock = path.join(folder, "small.lock");
  await writeFile(lock, "six==1.17.0\n");
  const { ESPALIER_PYTHON: _, ...env } = process.env;
  return {
    folder,
    home,
    lock,
    options: { env: { ...env, ESPALIER_HOME: home }, locks: [lock], standalone: null },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
