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
  /** A line that stays. */
  note(line: string): void;
  end(): void;
}

export function progressFor({ json = false }: { json?: boolean }): Progress {
  if (json) return { setUp: () => {}, event: () => {}, note: () => {}, end: () => {} };
  return process.stderr.isTTY ? new Bar() : new Lines();
}

/** Follows a run's events into a share done, a label and the time left. */
class Estimate {
  #started = 0;
  #firstDone = 0;

  read(event: Event): { done: number; label: string; left: string } | undefined {
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

/** What an event says that should not pass by with the progress. */
function noteOf(event: Event, progress: Progress): void {
  if (event.type === "warning") progress.note(`note: ${event.message}`);
  if (event.type === "trial.failed") progress.note(`failed: ${event.trial}: ${event.error}`);
}

const barsize = 24;

class Bar implements Progress {
  readonly #estimate = new Estimate();
  readonly #bar = new cliProgress.SingleBar(
    // The terminal's cursor and line wrap stay as they are: a process that a signal ends could not set them back.
    { format: "{bar} {percentage}%  {left}  {label}", linewrap: true, clearOnComplete: true, barsize, fps: 8 },
    cliProgress.Presets.shades_classic,
  );
  #running = false;

  setUp(line: string, done?: number): void {
    this.#show(done ?? 0, line, "");
    if (done === 1) this.end();
  }

  event(event: Event): void {
    noteOf(event, this);
    const now = this.#estimate.read(event);
    if (now !== undefined) this.#show(now.done, now.label, now.left);
    else if (event.type === "stage.started" && event.trial === null) this.#show(undefined, event.stage, "");
  }

  note(line: string): void {
    this.end();
    say(line);
  }

  end(): void {
    if (this.#running) this.#bar.stop();
    this.#running = false;
  }

  #show(done: number | undefined, label: string, left: string): void {
    // Beside the label stand the bar, " 100%", two gaps of two spaces, and the last column, which stays free.
    const room = (process.stderr.columns ?? 80) - barsize - left.length - 10;
    const payload = { label: label.slice(0, Math.max(0, room)), left };
    if (!this.#running) {
      this.#running = true;
      this.#bar.start(1000, Math.round(1000 * (done ?? 0)), payload);
    } else if (done === undefined) this.#bar.update(payload);
    else this.#bar.update(Math.round(1000 * done), payload);
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
    noteOf(event, this);
    const now = this.#estimate.read(event);
    if (now !== undefined) this.#say(`${Math.round(100 * now.done)}%  ${now.left}  ${now.label}`, false);
  }

  note(line: string): void {
    say(line);
  }

  end(): void {}

  #say(text: string, always: boolean): void {
    if (!always && Date.now() - this.#last < quietMs) return;
    this.#last = Date.now();
    say(text);
  }
}
