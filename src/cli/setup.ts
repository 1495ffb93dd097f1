/** espalier setup: makes the Python environment, or says that it stands. */
import { ensurePython } from "../provision/ensure.js";
import { type CommonOptions, print, printJson, say } from "./output.js";
import { progressFor } from "./progress.js";

export async function setupCommand(options: CommonOptions): Promise<number> {
  const progress = progressFor(options);
  let made = false;
  try {
    const environment = await ensurePython({
      onProgress: (line, done) => {
        // Waiting for another process has no share that is done.
        if (done !== undefined) made = true;
        progress.setUp(line, done);
      },
    });
    progress.end();
    if (options.json) printJson({ ...environment, made });
    else {
      for (const warning of environment.warnings) say(`note: ${warning}`);
      print(`${made ? "made" : "ready, nothing to do"}: Python ${environment.version}, ${environment.python}`);
    }
    return 0;
  } finally {
    progress.end();
  }
}
