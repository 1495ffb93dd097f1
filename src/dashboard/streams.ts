/** Server-sent events: the list of runs as it changes, and one run's events as they are written. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { followBatches } from "../runs/follow.js";
import type { EventsMessage, RunEntry } from "./data.js";
import type { RunList } from "./run-list.js";

/** The list is looked at this often. */
const lookMs = 1000;
/** Without a message for so long, one that says nothing keeps the connection open. */
const aliveMs = 15_000;

/** A "runs" message with all runs, then one whenever some of them change. */
export function streamRuns(context: Context, list: RunList): Response {
  return streamSSE(context, async (stream) => {
    let known = new Map<string, RunEntry>();
    for (let count = 0, last = 0; !stream.aborted; count++) {
      const message = await list.changes(known);
      if (count === 0 || message.changed.length + message.gone.length > 0) {
        await stream.writeSSE({ event: "runs", data: JSON.stringify(message) });
        known = new Map((await list.entries()).map((entry) => [entry.name, entry]));
        last = Date.now();
      } else if (Date.now() - last > aliveMs) {
        await stream.writeSSE({ event: "alive", data: "" });
        last = Date.now();
      }
      await stream.sleep(lookMs);
    }
  });
}

/**
 * The events of a run after the first `from` bytes of its events.jsonl, in batches whose ids are offsets, so that a browser that
 * connects again goes on where it was; then "gone" when the directory is taken away.
 */
export function streamEvents(context: Context, directory: string): Response {
  const from = Math.max(0, Number(context.req.header("last-event-id") ?? context.req.query("from")) || 0);
  return streamSSE(context, async (stream) => {
    const left = new AbortController();
    stream.onAbort(() => left.abort());
    const alive = setInterval(() => void stream.writeSSE({ event: "alive", data: "" }), aliveMs);
    try {
      const batches = followBatches(directory, { from, signal: left.signal, endless: true });
      for await (const { events, offset } of batches) {
        const message: EventsMessage = { events };
        await stream.writeSSE({ event: "events", id: String(offset), data: JSON.stringify(message) });
      }
      if (!left.signal.aborted) await stream.writeSSE({ event: "gone", data: "" });
    } finally {
      clearInterval(alive);
    }
  });
}
