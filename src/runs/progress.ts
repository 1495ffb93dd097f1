/** How far a run is, gathered from its events. Needs nothing of Node: a page gathers on from where its server was. */
import type { Event, Real, Stage } from "../experiment/records.js";

export interface Note {
  /** Seconds since 1970. */
  time: number;
  trial: string | null;
  message: string;
}

export interface RunProgress {
  /** The number of the last event that was gathered. */
  seq: number;
  /** Trials in all. */
  trials: number;
  /** Work done of the whole run, between 0 and 1. */
  done: number;
  /** Where the work is now; undefined before the first and after the last stage. */
  now: { trial: string | null; stage: Stage; step: number; steps: number } | undefined;
  /** Seconds since 1970 and the work done at the first progress since the run was last started. */
  since: { time: number; done: number } | undefined;
  /** Seconds since 1970 of the last event. */
  updated: number;
  /** Scores of the trials that finished, by task. */
  finished: Record<string, Record<string, Real>>;
  /** Errors of the trials that failed. */
  failed: Record<string, string>;
  warnings: Note[];
  /** How the run ended; undefined while it goes on. */
  ended: "done" | "failed" | "interrupted" | undefined;
}

export function noProgress(): RunProgress {
  return {
    seq: 0,
    trials: 0,
    done: 0,
    now: undefined,
    since: undefined,
    updated: 0,
    finished: {},
    failed: {},
    warnings: [],
    ended: undefined,
  };
}

/** Takes one more event into `progress`; one that it holds already changes nothing. */
export function gather(progress: RunProgress, event: Event): void {
  if (event.seq <= progress.seq) return;
  progress.seq = event.seq;
  progress.updated = event.time;
  switch (event.type) {
    case "run.started":
      Object.assign(progress, {
        trials: event.trials,
        now: undefined,
        since: undefined,
        ended: undefined,
        warnings: [],
      });
      break;
    case "stage.started":
      progress.now = { trial: event.trial, stage: event.stage, step: 0, steps: 0 };
      break;
    case "progress":
      progress.done = event.done;
      progress.since ??= { time: event.time, done: event.done };
      progress.now = { trial: event.trial, stage: event.stage, step: event.step, steps: event.steps };
      break;
    case "trial.finished":
      progress.finished[event.trial] = event.scores;
      delete progress.failed[event.trial];
      break;
    case "trial.failed":
      progress.failed[event.trial] = event.error;
      break;
    case "warning":
      progress.warnings.push({ time: event.time, trial: event.trial, message: event.message });
      break;
    case "run.finished":
      progress.ended = event.status;
      progress.now = undefined;
      if (event.status === "done") progress.done = 1;
      break;
  }
}

/** Seconds left at the rate of the work so far; undefined before a fiftieth of it is done, when any estimate would jump about. */
export function secondsLeft({ since, done, updated, ended }: RunProgress): number | undefined {
  if (since === undefined || ended !== undefined) return undefined;
  const covered = done - since.done;
  return covered < 0.02 ? undefined : ((updated - since.time) * (1 - done)) / covered;
}
