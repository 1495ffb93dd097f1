/** Follows a run's events as they are written. */
import { open, stat } from "node:fs/promises";
import path from "node:path";
import type { Event } from "../experiment/records.js";
import { files } from "./layout.js";
import { hasWriter, isRun, parseEvent, readPlan } from "./read.js";

/** Events that were found together, and how many bytes of events.jsonl end with the last of them. */
export interface EventBatch {
  events: Event[];
  offset: number;
}

export interface FollowOptions {
  /** Ends the iteration early. */
  signal?: AbortSignal | undefined;
  /** Begins after so many bytes of events.jsonl, an earlier batch's `offset`. */
  from?: number;
  /** Waits for a run that has ended to be resumed; only the signal, or the directory's end, ends the iteration. */
  endless?: boolean;
}

/**
 * The events of a run from its first on. While the run is written it waits for more; it ends with "run.finished", or with
 * the last event of a run that was killed.
 *
 * @param signal ends the iteration early
 * @throws EspalierError ("input") where the directory is no run
 */
export async function* followEvents(directory: string, signal?: AbortSignal): AsyncGenerator<Event> {
  for await (const { events } of followBatches(directory, { signal })) yield* events;
}

/**
 * The same in batches, a line that is no event being left out.
 *
 * @throws EspalierError ("input") where the directory is no run
 */
export async function* followBatches(directory: string, options: FollowOptions = {}): AsyncGenerator<EventBatch> {
  const { signal, from = 0, endless = false } = options;
  await readPlan(directory);
  const lines = new Lines(path.join(directory, files.events), from);
  while (signal?.aborted !== true) {
    // Asked before the file is read, so that what a writer wrote last is not missed.
    const written = await hasWriter(directory);
    const found = await lines.read();
    const events = found.map(parseEvent).filter((event) => event !== undefined);
    if (events.length > 0) yield { events, offset: lines.offset };
    if (found.length > 0) {
      // A resumed run goes on after it: only the last event of the file ends the iteration.
      if (events.at(-1)?.type === "run.finished" && !endless && (await lines.isAtEnd())) return;
      continue;
    }
    // Before its first event a run may still be setting up Python.
    if (!written && !endless && (lines.size > 0 || !(await isRun(directory)))) return;
    if (endless && !(await isRun(directory))) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The events that are there now, after the first `from` bytes; those of a file that has become shorter are read anew. */
export async function readBatch(directory: string, from: number): Promise<EventBatch> {
  const file = path.join(directory, files.events);
  const size = await stat(file).then(
    (info) => info.size,
    () => 0,
  );
  const lines = new Lines(file, from <= size ? from : 0);
  const events = (await lines.read()).map(parseEvent).filter((event) => event !== undefined);
  return { events, offset: lines.offset };
}

/** The whole lines of a file that grows. */
class Lines {
  readonly #file: string;
  /** Read, but not yet a whole line. */
  #rest = Buffer.alloc(0);
  /** Bytes up to the end of the last whole line. */
  offset: number;
  /** Bytes read so far. */
  size: number;

  constructor(file: string, from: number) {
    this.#file = file;
    this.offset = from;
    this.size = from;
  }

  /** The lines that have become whole since the last call. */
  async read(): Promise<string[]> {
    const chunk = await this.#readOn();
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const end = this.#rest.lastIndexOf(10) + 1;
    if (end === 0) return [];
    const lines = this.#rest.toString("utf8", 0, end - 1).split("\n");
    this.#rest = this.#rest.subarray(end);
    this.offset += end;
    return lines;
  }

  async isAtEnd(): Promise<boolean> {
    return this.#rest.length === 0 && (await this.#readOn(true)).length === 0;
  }

  async #readOn(peek = false): Promise<Buffer> {
    const handle = await open(this.#file).catch(() => undefined);
    if (handle === undefined) return Buffer.alloc(0);
    try {
      const { size } = await handle.stat();
      if (size < this.size) {
        // A resumed run cuts the torn line off that a killed one left.
        this.size = this.offset;
        this.#rest = Buffer.alloc(0);
      }
      const buffer = Buffer.alloc(Math.max(0, size - this.size));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.size);
      if (!peek) this.size += bytesRead;
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }
}
