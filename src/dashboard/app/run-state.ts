/** What the page knows of one run, kept up to date by the stream of its events. */
import type { Event, Structure } from "../../experiment/records.js";
import type { Trial } from "../../experiment/schema/index.js";
import type { LossCurve } from "../../runs/curves.js";
import type { Gates } from "../../runs/gates.js";
import { gather } from "../../runs/progress.js";
import type { RunDetail } from "../data.js";
import { followEvents, Refused, readCurves, readGates, readRun, readStructures } from "./server.js";

/** After an event that changes files the run is read again, once for all events of so many milliseconds. */
const settleMs = 400;
/** While a run is resumed its first event may be long in coming. */
const resumeMs = 1500;
/** The gates of a search under way are read again at most this often. */
const gatesMs = 800;

export class RunState {
  readonly name: string;
  detail: RunDetail | undefined;
  structures: Record<string, Structure> = {};
  curves: LossCurve[] = [];
  gates: Record<string, Gates> = {};
  /** Why the run cannot be shown. */
  trouble: string | undefined;
  isGone = false;
  isConnected = true;
  readonly #update: () => void;
  #stop: () => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Trials whose gates will soon be read again. */
  readonly #following = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #wanted = new Set<string>();
  #isClosed = false;

  constructor(name: string, update: () => void) {
    this.name = name;
    this.#update = update;
    void this.#begin();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const timer of this.#following.values()) clearTimeout(timer);
    this.#stop();
  }

  /** Reads the run again soon. */
  refresh(afterMs = settleMs): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#read();
    }, afterMs);
  }

  /** Asks once for a trial's gates; those of a search under way come anew by themselves. */
  async wantGates(trial: string): Promise<void> {
    if (this.#wanted.has(trial)) return;
    this.#wanted.add(trial);
    await this.#readGates(trial);
  }

  async #readGates(trial: string): Promise<void> {
    const gates = await readGates(this.name, trial).catch(() => undefined);
    if (gates === undefined || gates.steps.length === this.gates[trial]?.steps.length) return;
    this.gates = { ...this.gates, [trial]: gates };
    this.#update();
  }

  /** The trial's search went on, or ended: reads its gates again soon. */
  #followGates(trial: string): void {
    if (this.#following.has(trial) || this.#isClosed) return;
    this.#wanted.add(trial);
    const timer = setTimeout(() => {
      this.#following.delete(trial);
      void this.#readGates(trial);
    }, gatesMs);
    this.#following.set(trial, timer);
  }

  async #begin(): Promise<void> {
    await this.#read();
    if (this.detail === undefined || this.#isClosed) return;
    this.#stop = followEvents(this.name, this.detail.offset, {
      events: ({ events }) => this.#hear(events),
      gone: () => {
        this.isGone = true;
        this.#update();
      },
      connected: (is) => {
        this.isConnected = is;
        this.#update();
      },
    });
  }

  async #read(): Promise<void> {
    try {
      const [detail, structures, curves] = await Promise.all([
        readRun(this.name),
        readStructures(this.name),
        readCurves(this.name),
      ]);
      this.detail = detail;
      this.structures = structures;
      this.curves = curves;
      this.trouble = undefined;
      if (detail.resume?.state === "starting" && detail.state !== "running") this.refresh(resumeMs);
    } catch (error) {
      if (error instanceof Refused && error.status === 404 && this.detail !== undefined) this.isGone = true;
      else this.trouble = error instanceof Error ? error.message : String(error);
    }
    this.#update();
  }

  #hear(events: readonly Event[]): void {
    const { detail } = this;
    if (detail === undefined) return;
    const progress = { ...detail.progress };
    for (const event of events) gather(progress, event);
    const isUnderWay = progress.ended === undefined;
    this.detail = { ...detail, progress, state: isUnderWay ? "running" : detail.state };
    this.curves = withLosses(this.curves, events, detail.plan.trials);
    const changesFiles = (event: Event) => !["progress", "warning"].includes(event.type);
    if (events.some(changesFiles)) this.refresh();
    for (const event of events) {
      if (event.type === "progress" && event.stage === "search" && event.trial !== null) this.#followGates(event.trial);
    }
    this.#update();
  }
}

/** The curves with the losses that progress events tell; whatever they leave out comes when the run is read again. */
function withLosses(curves: readonly LossCurve[], events: readonly Event[], trials: readonly Trial[]): LossCurve[] {
  const result = [...curves];
  for (const event of events) {
    if (event.type !== "progress" || event.trial === null || typeof event.loss !== "number") continue;
    const { trial, stage, step, steps, loss } = event;
    const at = result.findIndex((curve) => curve.trial === trial && curve.stage === stage);
    const method = trials.find(({ id }) => id === trial)?.method ?? trial;
    const curve = at < 0 ? { trial, method, stage, steps, points: [] } : result[at]!;
    if (step <= (curve.points.at(-1)?.step ?? 0)) continue;
    const grown = { ...curve, points: [...curve.points, { step, loss }] };
    if (at < 0) result.push(grown);
    else result[at] = grown;
  }
  return result;
}
