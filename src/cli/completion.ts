/** What Tab offers beside commands and options: the runs that are there. */
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import type { RootCommand } from "@bomb.sh/tab";
import { files } from "../runs/layout.js";

/** Completes each command's `<run>`, and `run --resume`, with the runs of the folder `runs`. */
export function completeRuns({ commands }: RootCommand): void {
  for (const command of commands.values()) {
    const run = command.arguments.get("run");
    if (run !== undefined) run.handler = (complete) => offer(complete);
    const resume = command.options.get("resume");
    if (resume !== undefined) resume.handler = (complete) => offer(complete);
  }
}

function offer(complete: (value: string, description: string) => void): void {
  complete("latest", "the newest run");
  for (const name of runNames("runs")) complete(name, "");
}

/** Names alone: Tab must not wait for plans to be read. */
function runNames(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => existsSync(path.join(folder, name, files.plan)));
  } catch {
    return [];
  }
}
