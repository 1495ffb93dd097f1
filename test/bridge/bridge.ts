/** A runtime that knows the jobs of test/fixtures/python. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { Runtime, type RuntimeOptions } from "../../src/bridge/runtime.js";
import { testPython } from "../python.js";

export const fixtures = path.resolve(import.meta.dirname, "../fixtures/python");

export function startRuntime(options: Partial<RuntimeOptions> = {}): Promise<Runtime> {
  return Runtime.start({ python: testPython(), pythonPath: [fixtures], ...options });
}

/** The full name of a job in espalier_test_jobs.py. */
export function jobNamed(name: string): string {
  return `espalier_test_jobs:${name}`;
}

/** Whether a process with this id runs. One that has ended, and that nobody has collected yet, does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+[ZX]/m.test(readFileSync(status, "utf8"));
}

/** What `promise` rejects with; fails if it resolves. */
export async function rejection<E extends Error>(
  promise: Promise<unknown>,
  type: new (...given: never[]) => E,
): Promise<E> {
  const outcome = await promise.then(
    (value) => new Error(`resolved to ${JSON.stringify(value)}`),
    (error) => error as Error,
  );
  if (outcome instanceof type) return outcome;
  throw outcome;
}
