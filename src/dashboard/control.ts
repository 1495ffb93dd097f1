/** Stops and resumes local runs. */
import { spawn } from "node:child_process";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { files, writeAtomic } from "../runs/layout.js";
import { hasWriter, summariseRun } from "../runs/read.js";
import type { RunDetail } from "./data.js";

/** Starts `espalier run --resume` and resolves when it has ended, to what it said if it failed. */
export type Resume = (directory: string) => Promise<string | undefined>;

export class Control {
  readonly #resume: Resume;
  readonly #resumes = new Map<string, NonNullable<RunDetail["resume"]>>();

  constructor(resume: Resume = resumeInProcessOfItsOwn) {
    this.#resume = resume;
  }

  /** What became of the last resume that was asked for here; null where that run is written, or none was. */
  resumeOf(directory: string): RunDetail["resume"] {
    return this.#resumes.get(directory) ?? null;
  }

  /**
   * Asks the run's process to stop after the step in hand, by a file in its directory.
   *
   * @throws EspalierError ("input") where no process writes the run
   */
  async stop(directory: string): Promise<void> {
    if (!(await hasWriter(directory))) {
      throw new EspalierError("the run is not under way, so there is nothing to stop", { code: "input" });
    }
    await writeAtomic(path.join(directory, files.stop), `${new Date().toISOString()}\n`);
  }

  /**
   * Resumes the run in a process of its own, which goes on when the dashboard ends.
   *
   * @throws EspalierError ("input") where the run is under way, whole, or damaged
   */
  async resume(directory: string): Promise<void> {
    const state = (await summariseRun(directory))?.state;
    const isStarting = this.#resumes.get(directory)?.state === "starting";
    if (isStarting || (state !== "interrupted" && state !== "failed")) {
      const what = isStarting ? "being resumed already" : (state ?? "no run any more");
      throw new EspalierError(`the run is ${what}, so it cannot be resumed`, { code: "input" });
    }
    this.#resumes.set(directory, { state: "starting", message: "" });
    void this.#resume(directory).then(
      (message) => {
        if (message === undefined) this.#resumes.delete(directory);
        else this.#resumes.set(directory, { state: "failed", message });
      },
      (error: unknown) => this.#resumes.set(directory, { state: "failed", message: String(error) }),
    );
  }
}

/** The last line that a failed command said is its error and how to mend it. */
const keptBytes = 2000;

function resumeInProcessOfItsOwn(directory: string): Promise<string | undefined> {
  const main = path.resolve(import.meta.dirname, "..", "cli", "main.js");
  const child = spawn(process.execPath, [main, "run", "--resume", directory], {
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-keptBytes);
  });
  child.unref();
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) =>
      resolve(code === 0 || code === 130 ? undefined : said.slice(said.lastIndexOf("error:"))),
    );
  });
}
