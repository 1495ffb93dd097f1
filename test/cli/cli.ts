/** Runs the built command line as a user would, in a process of its own. */
import path from "node:path";
import { execa, type Options } from "execa";
import { testPython } from "../python.js";

export const main = path.resolve(import.meta.dirname, "..", "..", "dist", "cli", "main.js");

export interface Ended {
  code: number | undefined;
  stdout: string;
  stderr: string;
}

export async function espalier(
  words: string[],
  options: Options & { env?: Record<string, string | undefined> } = {},
): Promise<Ended> {
  const { env, ...rest } = options;
  const result = await execa(process.execPath, [main, ...words], {
    reject: false,
    stdin: "ignore",
    env: { ESPALIER_PYTHON: testPython(), NO_COLOR: "1", ...env } as Record<string, string>,
    ...rest,
  });
  return { code: result.exitCode, stdout: String(result.stdout), stderr: String(result.stderr) };
}

/** Every command that the help names. */
export async function commandNames(): Promise<string[]> {
  const { stdout } = await espalier(["--help"]);
  const [, list = ""] = stdout.split("Commands:\n");
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1]!).filter((name) => name !== "help");
}
