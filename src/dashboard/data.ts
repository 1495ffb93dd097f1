/** What the server sends and the page shows. */
import type { Event, Robustness, RunRecord, TrialResult } from "../experiment/records.js";
import type { Plan } from "../experiment/schema/index.js";
import type { RunProgress } from "../runs/progress.js";
import type { RunState } from "../runs/read.js";

/** One line of the list of runs. */
export interface RunEntry {
  /** The directory's name in the runs folder. */
  name: string;
  state: RunState;
  /** Milliseconds since 1970; null where it is not known. */
  started: number | null;
  tasks: string[];
  methods: string[];
  /** The first method's scores; empty until the run has ended. */
  answer: { task: string; metric: string; mean: number }[];
  /** Work done, between 0 and 1, of a run under way. */
  done: number | null;
  /** How long it took; null until it has ended. */
  seconds: number | null;
}

/** What changed in the list since the last message; the first message holds all of it. */
export interface RunsMessage {
  folder: string;
  changed: RunEntry[];
  gone: string[];
}

export interface ExportedFile {
  /** Relative to the run's directory. */
  path: string;
  bytes: number;
}

/** One run, but for what is asked for separately: structures, gates, curves and files. */
export interface RunDetail {
  name: string;
  directory: string;
  state: RunState;
  plan: Plan;
  record: RunRecord | null;
  robustness: Robustness | null;
  lock: unknown;
  progress: RunProgress;
  /** Bytes of events.jsonl that `progress` covers: where the stream of events goes on. */
  offset: number;
  results: Record<string, TrialResult>;
  /** Trials that recorded their gates. */
  withGates: string[];
  exports: ExportedFile[];
  hasReport: boolean;
  /** A resume that was asked for from the page. */
  resume: { state: "starting" | "failed"; message: string } | null;
}

/** New events of a run, and the state it is in. */
export interface EventsMessage {
  events: Event[];
}
