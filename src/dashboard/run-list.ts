/** The list of runs, read anew only where something changed. */
import { open, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { files } from "../runs/layout.js";
import { hasWriter, parseEvent, type RunSummary, summariseRun } from "../runs/read.js";
import type { RunEntry, RunsMessage } from "./data.js";

interface Known {
  /** When the directory, or the plan, last changed; a record or a lock that comes or goes changes the directory. */
  changed: number;
  entry: RunEntry | undefined;
}

/** The runs of a folder. A look at a thousand runs that stand still costs one `stat` each. */
export class RunList {
  readonly #folder: string;
  #known = new Map<string, Known>();
  #looking: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All runs, newest first. */
  async entries(): Promise<RunEntry[]> {
    // Pages that ask at the same time share one look.
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
    return [...this.#known.values()]
      .flatMap(({ entry }) => entry ?? [])
      .sort((a, b) => (b.started ?? 0) - (a.started ?? 0) || (a.name < b.name ? -1 : 1));
  }

  /** What is other than in `before`. */
  async changes(before: ReadonlyMap<string, RunEntry>): Promise<RunsMessage> {
    const now = await this.entries();
    const names = new Set(now.map((entry) => entry.name));
    return {
      folder: this.#folder,
      changed: now.filter((entry) => before.get(entry.name) !== entry),
      gone: [...before.keys()].filter((name) => !names.has(name)),
    };
  }

  async #look(): Promise<void> {
    const found = await readdir(this.#folder, { withFileTypes: true }).catch(() => []);
    const names = found
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name);
    const looked = await Promise.all(names.map(async (name) => [name, await this.#lookAt(name)] as const));
    this.#known = new Map(looked);
  }

  async #lookAt(name: string): Promise<Known> {
    const directory = path.join(this.#folder, name);
    const before = this.#known.get(name);
    const changed = await lastChange(directory);
    if (before?.changed === changed && before.entry?.state !== "running") return before;
    const isSame = before?.changed === changed && (await hasWriter(directory));
    const entry = isSame ? before.entry! : await entryOf(await summariseRun(directory));
    const done = entry?.state === "running" ? await workDone(directory) : null;
    // The same object where nothing changed, so that a page is told only of what did.
    return { changed, entry: entry === undefined || entry.done === done ? entry : { ...entry, done } };
  }
}

async function lastChange(directory: string): Promise<number> {
  const times = await Promise.all(
    [directory, path.join(directory, files.plan)].map((place) =>
      stat(place).then(
        (info) => info.mtimeMs,
        () => 0,
      ),
    ),
  );
  return Math.max(...times);
}

async function entryOf(run: RunSummary | undefined): Promise<RunEntry | undefined> {
  if (run === undefined) return undefined;
  const { name, state, plan, record, started } = run;
  const first = plan?.methods[0]?.name;
  return {
    name,
    state,
    started: started?.getTime() ?? null,
    tasks: plan?.tasks.map((task) => task.name) ?? [],
    methods: plan?.methods.map((method) => method.name ?? method.method) ?? [],
    answer: (record?.rows ?? [])
      .filter((row) => row.method === first && row.mean !== null)
      .map((row) => ({ task: row.task, metric: row.metric, mean: Number(row.mean) })),
    done: null,
    seconds: record?.seconds ?? null,
  };
}

/** The share that the last progress event tells, from the end of events.jsonl. */
async function workDone(directory: string): Promise<number> {
  const handle = await open(path.join(directory, files.events)).catch(() => undefined);
  if (handle === undefined) return 0;
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, 4096));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    const events = buffer.toString("utf8").split("\n").map(parseEvent);
    return events.findLast((event) => event?.type === "progress")?.done ?? 0;
  } finally {
    await handle.close();
  }
}
