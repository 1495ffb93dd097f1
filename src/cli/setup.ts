/** espalier setup: makes the Python environment, or says that it stands. */
import { ensurePython } from "../provision/ensure.js";
import { type CommonOptions, print, printJson, say } from "./output.js";
import { progressFor } from "./progress.js";

export async function setupCommand(options: CommonOptions): Promise<number> {
  const progress = progressFor(options);
  let worked = false;
  try {
    const environment = await ensurePython({
      onProgress: (line, done) => {
        worked = true;
        progress.setUp(line, done);
      },
    });
    progress.end();
    if (options.json) printJson({ ...environment, made: worked });
    else {
      for (const warning of environment.warnings) say(`note: ${warning}`);
      print(`${worked ? "made" : "ready, nothing to do"}: Python ${environment.version}, ${environment.python}`);
    }
    return 0;
  } finally {
    progress.end();
  }
}
