/** espalier cache: what the frozen layers gave for which rows, kept so that nothing computes it again. */
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { espalierHome } from "../provision/home.js";
import { plainTable } from "../report/plain-table.js";
import { type CommonOptions, print, printJson, say } from "./output.js";

export interface CacheOptions extends CommonOptions {
  clear?: boolean;
}

/** The card of an entry, as `training/prefix_cache.py` writes it. */
const Card = z.object({
  backbone: z.string(),
  tasks: z.array(z.string()),
  place: z.string(),
  type: z.string(),
  rows: z.int(),
  tokens: z.int(),
});

interface Entry {
  path: string;
  bytes: number;
  used: Date;
  /** Undefined where the entry is damaged, which the next run that wants it mends. */
  card: z.infer<typeof Card> | undefined;
}

export async function cacheCommand(options: CacheOptions): Promise<number> {
  const folder = path.join(espalierHome(), "prefixes");
  const entries = await entriesIn(folder);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  if (options.clear) for (const entry of entries) await removeEntry(entry.path);
  if (options.json) {
    printJson({
      folder,
      bytes,
      cleared: options.clear ?? false,
      entries: entries.map(({ path: at, bytes: size, used, card }) => ({
        path: at,
        bytes: size,
        used: used.toISOString(),
        ...(card ?? { damaged: true }),
      })),
    });
    return 0;
  }
  if (entries.length === 0) say(`nothing is kept in ${folder}`);
  else if (options.clear) print(`${entries.length} entries taken away, ${mebibytes(bytes)} freed`);
  else print(`${table(entries)}\n\n${mebibytes(bytes)} in ${folder}`);
  return 0;
}

async function entriesIn(folder: string): Promise<Entry[]> {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.filter((name) => !name.startsWith(".")).map((name) => readEntry(path.join(folder, name))),
  );
  return found.filter((entry) => entry !== undefined).sort((a, b) => b.used.getTime() - a.used.getTime());
}

/** Undefined where another process has taken the entry away. */
async function readEntry(entry: string): Promise<Entry | undefined> {
  try {
    const sizes = await Promise.all(
      (await readdir(entry)).map(async (name) => (await stat(path.join(entry, name))).size),
    );
    const text = await readFile(path.join(entry, "entry.json"), "utf8").catch(() => "");
    return {
      path: entry,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      used: (await stat(entry)).mtime,
      card: Card.safeParse(parsed(text)).data,
    };
  } catch {
    return undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For every other process at once; one that has it open keeps what it has. */
async function removeEntry(entry: string): Promise<void> {
  const aside = path.join(path.dirname(entry), `.${path.basename(entry)}.${process.pid}.old`);
  try {
    await rename(entry, aside);
  } catch {
    return;
  }
  await rm(aside, { recursive: true, force: true });
}

function table(entries: readonly Entry[]): string {
  const head = ["backbone", "tasks", "states", "type", "rows", "size", "last used"];
  const align = ["left", "left", "left", "left", "right", "right", "left"] as const;
  return plainTable(head, align, entries.map(line));
}

function line({ card, bytes, used }: Entry): string[] {
  const when = used.toISOString().slice(0, 16).replace("T", " ");
  if (card === undefined) return ["damaged", "", "", "", "", mebibytes(bytes), when];
  const { backbone, tasks, place, type, rows } = card;
  return [path.basename(backbone), tasks.join(", "), place, type, rows.toLocaleString("en"), mebibytes(bytes), when];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
