/** How far a run is: one updating line on a terminal, a line now and then elsewhere, nothing with --json. */
import cliProgress from "cli-progress";
import type { Event } from "../experiment/records.js";
import { duration } from "../report/numbers.js";
import { say } from "./output.js";

/** Off a terminal, a line is printed this often. */
const quietMs = 10_000;

export interface Progress {
  /** A set-up step, with the share done where it is known. */
  setUp(line: string, done?: number): void;
  event(event: Event): void;
  end(): void;
}

export function progressFor({ json = false }: { json?: boolean }): Progress {
  if (json) return { setUp: () => {}, event: () => {}, end: () => {} };
  return process.stderr.isTTY ? new Bar() : new Lines();
}

/** Follows a run's events into a share done, a label and the time left. */
class Estimate {
  #started = 0;
  #firstDone = 0;
  trials = 0;
  finished = 0;

  read(event: Event): { done: number; label: string; left: string } | undefined {
    if (event.type === "run.started") this.trials = event.trials;
    if (event.type === "trial.finished" || event.type === "trial.failed") this.finished += 1;
    if (event.type !== "progress") return undefined;
    if (this.#started === 0) {
      this.#started = event.time;
      this.#firstDone = event.done;
    }
    const passed = event.time - this.#started;
    const covered = event.done - this.#firstDone;
    // Before a fiftieth of the work is done any estimate would jump about.
    const left = covered < 0.02 ? "" : `${duration((passed * (1 - event.done)) / covered)} left`;
    return { done: event.done, label: `${event.trial ?? ""} ${event.stage}`, left };
  }
}

class Bar implements Progress {
  readonly #estimate = new Estimate();
  readonly #bar = new cliProgress.SingleBar(
    { format: "{bar} {percentage}%  {left}  {label}", hideCursor: true, clearOnComplete: true, barsize: 24, fps: 8 },
    cliProgress.Presets.shades_classic,
  );
  #running = false;

  setUp(line: string, done?: number): void {
    this.#show(done ?? 0, line, "");
    if (done === 1) this.end();
  }

  event(event: Event): void {
    if (event.type === "warning") this.#above(`note: ${event.message}`);
    if (event.type === "trial.failed") this.#above(`failed: ${event.trial}: ${event.error}`);
    const now = this.#estimate.read(event);
    if (now !== undefined) this.#show(now.done, now.label, now.left);
    else if (event.type === "stage.started" && event.trial === null) this.#show(undefined, event.stage, "");
  }

  end(): void {
    if (this.#running) this.#bar.stop();
    this.#running = false;
  }

  #show(done: number | undefined, label: string, left: string): void {
    const columns = process.stderr.columns ?? 80;
    const payload = { label: label.slice(0, Math.max(10, columns - 50)), left };
    if (!this.#running) {
      this.#running = true;
      this.#bar.start(1000, Math.round(1000 * (done ?? 0)), payload);
    } else if (done === undefined) this.#bar.update(payload);
    else this.#bar.update(Math.round(1000 * done), payload);
  }

  #above(text: string): void {
    this.end();
    say(text);
  }
}

class Lines implements Progress {
  readonly #estimate = new Estimate();
  #last = 0;

  setUp(line: string, done?: number): void {
    this.#say(
      done === undefined || done === 1 ? line : `${Math.round(100 * done)}%  ${line}`,
      done === undefined || done === 1,
    );
  }

  event(event: Event): void {
    if (event.type === "warning") say(`note: ${event.message}`);
    if (event.type === "trial.failed") say(`failed: ${event.trial}: ${event.error}`);
    const now = this.#estimate.read(event);
    if (now !== undefined) this.#say(`${Math.round(100 * now.done)}%  ${now.left}  ${now.label}`, false);
  }

  end(): void {}

  #say(text: string, always: boolean): void {
    if (!always && Date.now() - this.#last < quietMs) return;
    this.#last = Date.now();
    say(text);
  }
}
