/** Stands in for Pythons that a test cannot have: a shell script that answers as one would. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

/** Writes `folder/python3`: `answers` has a line of shell for what the words of a call may contain. */
export async function fakePython(folder: string, answers: Record<string, string>): Promise<string> {
  const python = path.join(folder, "python3");
  const cases = Object.entries(answers).map(([words, line]) => `  *"${words}"*) ${line} ;;`);
  await mkdir(folder, { recursive: true });
  await writeFile(python, ["#!/bin/sh", 'case "$*" in', ...cases, "esac", ""].join("\n"));
  await chmod(python, 0o755);
  return python;
}
