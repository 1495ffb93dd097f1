/** What the page asks of its server. */
import type { Structure } from "../../experiment/records.js";
import type { LossCurve } from "../../runs/curves.js";
import type { Gates } from "../../runs/gates.js";
import type { EventsMessage, RunDetail, RunsMessage } from "../data.js";

/** An answer that is none: the status, and what the server said. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const place = (run: string, rest = "") => `api/runs/${encodeURIComponent(run)}${rest}`;

export const readRun = (run: string) => ask<RunDetail>(place(run));
export const readStructures = (run: string) => ask<Record<string, Structure>>(place(run, "/structures"));
export const readCurves = (run: string) => ask<LossCurve[]>(place(run, "/curves"));
export const readGates = (run: string, trial: string) => ask<Gates>(place(run, `/gates/${encodeURIComponent(trial)}`));

/** The address of a file of a run, `file` being relative to its directory. */
export function fileAddress(run: string, file: string): string {
  return place(run, `/files/${file.split("/").map(encodeURIComponent).join("/")}`);
}

/** The last `bytes` of a text file. */
export async function readTail(run: string, file: string, bytes: number): Promise<string> {
  const answer = await fetch(fileAddress(run, file), { headers: { Range: `bytes=-${bytes}` } });
  if (answer.status === 404 || answer.status === 416) return "";
  return answer.text();
}

/** Asks for a run to be stopped or resumed. */
export function command(run: string, what: "stop" | "resume", token: string): Promise<unknown> {
  return ask(place(run, `/${what}`), { method: "POST", headers: { Authorization: `Bearer ${token}` } });
}

export function checkToken(token: string): Promise<unknown> {
  return ask("api/token", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
}

/** Follows the list of runs; the result ends it. `connected` hears whether the server is there. */
export function followRuns(heard: (message: RunsMessage) => void, connected: (is: boolean) => void): () => void {
  const source = new EventSource("api/stream");
  source.addEventListener("runs", (event) => heard(JSON.parse(event.data) as RunsMessage));
  source.addEventListener("open", () => connected(true));
  source.addEventListener("error", () => connected(false));
  return () => source.close();
}

/** Follows a run's events from `offset` on; the result ends it. */
export function followEvents(
  run: string,
  offset: number,
  told: { events: (message: EventsMessage) => void; gone: () => void; connected: (is: boolean) => void },
): () => void {
  const source = new EventSource(place(run, `/events?from=${offset}`));
  source.addEventListener("events", (event) => told.events(JSON.parse(event.data) as EventsMessage));
  source.addEventListener("gone", () => {
    source.close();
    told.gone();
  });
  source.addEventListener("open", () => told.connected(true));
  source.addEventListener("error", () => told.connected(false));
  return () => source.close();
}

async function ask<Answer>(address: string, options?: RequestInit): Promise<Answer> {
  const answer = await fetch(address, options);
  if (answer.ok) return answer.json();
  const { error } = (await answer.json().catch(() => ({ error: answer.statusText }))) as { error: string };
  throw new Refused(answer.status, error);
}
