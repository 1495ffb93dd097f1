/** Sends a file as it is, in pieces, whole or from a byte on. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import type { Context } from "hono";

/** Shown in the browser; everything else is downloaded. */
const shown: Record<string, string> = {
  ".json": "application/json",
  ".jsonl": "text/plain; charset=utf-8",
  ".log": "text/plain; charset=utf-8",
  ".md": "text/plain; charset=utf-8",
  ".html": "text/html; charset=utf-8",
};

/** Answers with the file at `place`, or with the part of it that the Range header asks for. */
export async function sendFile(context: Context, place: string): Promise<Response> {
  const { size } = await stat(place);
  const type = shown[path.extname(place)];
  const headers: Record<string, string> = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-store",
    "Content-Type": type ?? "application/octet-stream",
    // A file of a run must not act as a page of this server, whose requests could carry the token.
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    ...(type === undefined ? { "Content-Disposition": "attachment" } : {}),
  };
  const asked = context.req.header("range");
  const range = asked === undefined ? { start: 0, end: size - 1 } : parseRange(asked, size);
  if (range === undefined) return context.body(null, 416, { "Content-Range": `bytes */${size}` });
  headers["Content-Length"] = String(range.end - range.start + 1);
  if (asked !== undefined) headers["Content-Range"] = `bytes ${range.start}-${range.end}/${size}`;
  const body = size === 0 ? null : (Readable.toWeb(createReadStream(place, range)) as ReadableStream);
  return new Response(body, { status: asked === undefined ? 200 : 206, headers });
}

/** "bytes=5-9", "bytes=5-" and "bytes=-5", both ends counted; undefined where nothing of it is in the file. */
function parseRange(text: string, size: number): { start: number; end: number } | undefined {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(text) ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size - 1 : Math.min(size - 1, Number(last));
  return start <= end ? { start, end } : undefined;
}
