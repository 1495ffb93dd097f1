/** Follows a run's events as they are written. */
import { open } from "node:fs/promises";
import path from "node:path";
import type { Event } from "../experiment/records.js";
import { files } from "./layout.js";
import { hasWriter, parseEvent, readPlan } from "./read.js";

/**
 * The events of a run from its first on. While the run is written it waits for more; it ends with "run.finished", or with
 * the last event of a run that was killed.
 *
 * @param signal ends the iteration early
 * @throws EspalierError ("input") where the directory is no run
 */
export async function* followEvents(directory: string, signal?: AbortSignal): AsyncGenerator<Event> {
  await readPlan(directory);
  const file = path.join(directory, files.events);
  let offset = 0;
  let rest = Buffer.alloc(0);
  while (signal?.aborted !== true) {
    // Asked before the file is read, so that what a writer wrote last is not missed.
    const written = await hasWriter(directory);
    const chunk = await readFrom(file, offset);
    offset += chunk.length;
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const event = parseEvent(rest.subarray(0, end).toString("utf8"));
      rest = rest.subarray(end + 1);
      if (event === undefined) continue;
      yield event;
      // A resumed run goes on after it: only the last one in the file ends the iteration.
      if (event.type === "run.finished" && rest.length === 0 && (await readFrom(file, offset)).length === 0) return;
    }
    if (chunk.length > 0) continue;
    // Before its first event a run may still be setting up Python.
    if (!written && offset > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function readFrom(file: string, offset: number): Promise<Buffer> {
  const handle = await open(file).catch(() => undefined);
  if (handle === undefined) return Buffer.alloc(0);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.max(0, size - offset));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
