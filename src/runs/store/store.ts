/** All runs of a folder as one database. */
import path from "node:path";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import { z } from "zod";
import { EspalierError } from "../../errors.js";
import {
  type ComparisonTableRow,
  ComparisonTableSchema,
  type GateTableRow,
  type ResultTableRow,
  ResultTableSchema,
} from "../../experiment/tables.js";
import { listRuns, type RunState } from "../read.js";
import { fileViews } from "./files.js";
import { type Row, recordRows } from "./records.js";
import { emptyOf, type View, type ViewName, views } from "./views.js";

export interface QueryResult {
  columns: string[];
  rows: unknown[][];
}

/** A row of `runs`; `views` documents all of its columns. */
export interface StoredRun {
  run: string;
  directory: string;
  state: RunState;
  problem: string | null;
  name: string | null;
  started: Date | null;
  seconds: number | null;
  backbone: string | null;
  tasks: string[];
  methods: string[];
  seeds: number | null;
  trials: number | null;
}

/** A row of `results`: one of the run's results.parquet. */
export type StoredResult = ResultTableRow & { run: string };
/** A row of `comparisons`: one of the run's comparisons.parquet. */
export type StoredComparison = ComparisonTableRow & { run: string };
/** A row of `gates`. */
export type StoredGate = GateTableRow & { trial: string };

/** The runs as they were when the store was opened; open it again to see newer ones. */
export interface RunStore extends AsyncDisposable {
  /** Every run, newest first; a damaged one with its state and problem. */
  runs(): Promise<StoredRun[]>;
  results(): Promise<StoredResult[]>;
  comparisons(): Promise<StoredComparison[]>;
  /**
   * The gates of a run's searches.
   *
   * @throws EspalierError ("input") where there is no such run, or it is damaged or of a newer version
   */
  gates(run: string): Promise<StoredGate[]>;
  /**
   * The rows of a query over the views; numbers are numbers, times are Dates, lists are arrays.
   *
   * @param parameters the values of $1, $2, ...
   * @throws EspalierError ("input") with what DuckDB says of a wrong query
   */
  sql<Answer = Row>(query: string, ...parameters: DuckDBValue[]): Promise<Answer[]>;
  /** The same as columns and rows. */
  query(query: string, ...parameters: DuckDBValue[]): Promise<QueryResult>;
  /** Files that were left out because they are damaged. */
  readonly leftOut: readonly string[];
  close(): void;
}

/**
 * Opens the runs of a folder. Plans and records are read now, the trials' files when a query first needs them.
 *
 * @throws EspalierError ("environment") where DuckDB cannot be loaded on this platform
 */
export async function openStore(folder = "runs"): Promise<RunStore> {
  const runs = await listRuns(folder);
  const instance = await DuckDBInstance.create(":memory:", {
    // Everything needed is built in; a query must not reach for the network.
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  const store = new Store(path.resolve(folder), connection, instance);
  await store.fill(runs);
  return store;
}

class Store implements RunStore {
  readonly #folder: string;
  readonly #connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  readonly #leftOut = new Set<string>();
  /** The files that each view made so far reads. */
  readonly #made = new Map<ViewName, string[]>();
  #readable = new Set<string>();

  constructor(folder: string, connection: DuckDBConnection, instance: DuckDBInstance) {
    this.#folder = folder;
    this.#connection = connection;
    this.#instance = instance;
  }

  get leftOut(): string[] {
    return [...this.#leftOut];
  }

  async fill(runs: Awaited<ReturnType<typeof listRuns>>): Promise<void> {
    this.#readable = new Set(runs.filter((run) => run.plan !== undefined).map((run) => run.name));
    const rows = recordRows(runs);
    for (const view of views) {
      if (rows[view.name] === undefined) await this.#connection.run(`CREATE VIEW ${view.name} AS ${emptyOf(view)}`);
      else await this.#table(view, rows[view.name]!);
    }
  }

  runs(): Promise<StoredRun[]> {
    return this.sql("SELECT * FROM runs ORDER BY started DESC, run");
  }

  async results(): Promise<StoredResult[]> {
    return z.array(ResultTableSchema.extend(inRun)).parse(await this.sql("SELECT * FROM results"));
  }

  async comparisons(): Promise<StoredComparison[]> {
    return z.array(ComparisonTableSchema.extend(inRun)).parse(await this.sql("SELECT * FROM comparisons"));
  }

  async gates(run: string): Promise<StoredGate[]> {
    const [found] = await this.sql<StoredRun>("SELECT * FROM runs WHERE run = $1", path.basename(run));
    if (found === undefined || found.problem !== null) {
      throw new EspalierError(found?.problem ?? `run: "${run}" is not in ${this.#folder}`, {
        code: "input",
        mend: found === undefined ? "espalier runs lists what is there." : "Open another run, or update Espalier.",
      });
    }
    const files = await this.#files("gates", `${escaped(found.run)}/trials/*/gates.parquet`);
    return this.#read("gates", files, (source) => `SELECT * EXCLUDE (run) FROM (${source}) ORDER BY trial, step`);
  }

  async sql<Answer = Row>(query: string, ...parameters: DuckDBValue[]): Promise<Answer[]> {
    const { columns, rows } = await this.query(query, ...parameters);
    return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])) as Answer);
  }

  async query(query: string, ...parameters: DuckDBValue[]): Promise<QueryResult> {
    const used = this.#viewsIn(query);
    for (const name of used) if (!this.#made.has(name)) await this.#make(name, await this.#files(name));
    try {
      return await this.#run(query, parameters);
    } catch (error) {
      if (used.length === 0 || !(await this.#dropDamaged(used))) throw wrong(error);
    }
    return this.#run(query, parameters).catch((error: unknown) => {
      throw wrong(error);
    });
  }

  close(): void {
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #run(query: string, parameters: DuckDBValue[]): Promise<QueryResult> {
    const reader = await this.#connection.runAndReadAll(query, parameters.length === 0 ? undefined : parameters);
    return { columns: reader.columnNames(), rows: reader.getRowsJS().map((row) => row.map(plain)) };
  }

  /** The views of files that a query may read: those whose name stands in it, be it as a column's. */
  #viewsIn(query: string): ViewName[] {
    const words = new Set(query.toLowerCase().match(/\w+/g));
    return views.map((view) => view.name).filter((name) => fileViews[name] !== undefined && words.has(name));
  }

  /** The files of a view, without those of runs that cannot be read and those found damaged. */
  async #files(name: ViewName, glob = fileViews[name]!.glob): Promise<string[]> {
    const { rows } = await this.#run("SELECT file FROM glob($1) ORDER BY file", [`${escaped(this.#folder)}/${glob}`]);
    return rows
      .map(([file]) => file as string)
      .filter((file) => !this.#leftOut.has(file))
      .filter((file) => this.#readable.has(path.relative(this.#folder, file).split(path.sep)[0]!));
  }

  async #make(name: ViewName, files: string[]): Promise<void> {
    this.#made.set(name, files);
    const create = (source: string) => `CREATE OR REPLACE VIEW ${name} AS ${source}`;
    await this.#read(name, files, create);
  }

  /** Runs a statement over a view's files; where that fails, again without those that are damaged. */
  async #read<Answer>(name: ViewName, files: string[], statement: (source: string) => string): Promise<Answer[]> {
    const attempt = async (list: string[]) => {
      const { columns, rows } = await this.#run(statement(sourceOf(name, list)), []);
      return rows.map((row) => Object.fromEntries(columns.map((key, index) => [key, row[index]])) as Answer);
    };
    try {
      return await attempt(files);
    } catch {
      return attempt(await this.#whole(name, files));
    }
  }

  /** Finds damaged files behind the views, and makes those views anew without them; false where all are whole. */
  async #dropDamaged(names: readonly ViewName[]): Promise<boolean> {
    let found = false;
    for (const name of names) {
      const files = this.#made.get(name)!;
      const whole = await this.#whole(name, files);
      if (whole.length === files.length) continue;
      found = true;
      await this.#make(name, whole);
    }
    return found;
  }

  /** Those of `files` that can be read to their end. */
  async #whole(name: ViewName, files: readonly string[]): Promise<string[]> {
    const whole: string[] = [];
    for (const file of files) {
      try {
        await this.#connection.run(`SELECT sum(hash(f)) FROM (${fileViews[name]!.select(listOf([file]))}) f`);
        whole.push(file);
      } catch {
        this.#leftOut.add(file);
      }
    }
    return whole;
  }

  /** A table of rows; what they hold beyond the documented columns comes after those. */
  async #table(view: View, rows: readonly Row[]): Promise<void> {
    const types: Record<string, string> = {};
    for (const [name, { type }] of Object.entries(view.columns)) types[name] = type;
    for (const row of rows) for (const [name, value] of Object.entries(row)) types[name] ??= typeOf(value);
    const data = rows.length === 0 ? emptyOf(view) : "SELECT unnest(from_json($1, $2), recursive := true)";
    const parameters = rows.length === 0 ? undefined : [JSON.stringify(rows), JSON.stringify([types])];
    // A list type is written ["VARCHAR"] in from_json's structure.
    if (parameters !== undefined) parameters[1] = parameters[1]!.replaceAll(/"(\w+)\[\]"/g, '["$1"]');
    await this.#connection.run(`CREATE TABLE ${view.name} AS ${data}`, parameters);
  }
}

const inRun = { run: z.string() };

function sourceOf(name: ViewName, files: readonly string[]): string {
  const view: View = views.find((entry) => entry.name === name)!;
  if (files.length === 0) return emptyOf(view);
  const { select } = fileViews[name]!;
  const inTrial = "trial" in view.columns && name !== "events";
  const place = inTrial
    ? "parse_path(filename)[-4] AS run, parse_path(filename)[-2] AS trial"
    : "parse_path(filename)[-2] AS run";
  return `${emptyOf(view)} UNION ALL BY NAME SELECT ${place}, * EXCLUDE (filename) FROM (${select(listOf(files))})`;
}

function listOf(files: readonly string[]): string {
  return `[${files.map((file) => `'${escaped(file).replaceAll("'", "''")}'`).join(", ")}]`;
}

/** A path whose own characters no glob takes for its signs. */
function escaped(file: string): string {
  return file.replaceAll(/[*?[]/g, "[$&]");
}

function typeOf(value: unknown): string {
  if (typeof value === "number") return "DOUBLE";
  if (typeof value === "boolean") return "BOOLEAN";
  if (Array.isArray(value))
    return value.every((entry) => typeof entry === "number") && value.length > 0 ? "DOUBLE[]" : "VARCHAR[]";
  return "VARCHAR";
}

/** DuckDB's counts and sums come as bigints. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (Array.isArray(value)) return value.map(plain);
  return value;
}

function wrong(error: unknown): EspalierError {
  const [message] = (error as Error).message.split("\n\nLINE");
  return new EspalierError(`query: ${message!.trim()}`, {
    code: "input",
    mend: `The views are ${views.map((view) => view.name).join(", ")}; espalier query --views lists their columns.`,
    cause: error,
  });
}
