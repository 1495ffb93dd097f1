/** Reads what a search recorded of its gates. */
import path from "node:path";
import { type GateTableRow, GateTableSchema } from "../experiment/tables.js";
import { files } from "./layout.js";
import { readTable } from "./tables.js";

export interface GateCandidate {
  /** Such as layers.3.attention.query. */
  site: string;
  layer: number;
  slot: string;
  kind: string;
  /** First rank or width of the chunk, and how many it holds. */
  start: number;
  size: number;
  /** Null in runs that did not record it. */
  parameters: number | null;
}

/** How far every candidate was open at some steps of a search: its probability, or 0 or 1. */
export interface Gates {
  steps: number[];
  tasks: string[];
  candidates: GateCandidate[];
  /** `values[step][task][candidate]`, at the places in the lists above. */
  values: number[][][];
}

/**
 * The gates of a trial; undefined where it recorded none.
 *
 * @throws EspalierError ("input") where the file is damaged
 */
export async function readGates(directory: string, trial: string): Promise<Gates | undefined> {
  const file = path.join(directory, files.gates(trial));
  const rows = await readTable(file, GateTableSchema);
  return rows === undefined ? undefined : gatesOf(rows);
}

/** The same from rows, one for each step, task and candidate. */
export function gatesOf(rows: readonly GateTableRow[]): Gates {
  const steps = new Index<number>();
  const tasks = new Index<string>();
  const ids = new Index<string>();
  const gates: Gates = { steps: steps.entries, tasks: tasks.entries, candidates: [], values: [] };
  for (const { step, task, candidate, value, parameters } of rows) {
    const [s, t, c] = [steps.of(step), tasks.of(task), ids.of(candidate)];
    gates.candidates[c] ??= { ...parseCandidate(candidate), parameters };
    gates.values[s] ??= [];
    gates.values[s][t] ??= [];
    gates.values[s][t][c] = value;
  }
  return gates;
}

/** Distinct values in the order of their first appearance. */
class Index<Value> {
  readonly entries: Value[] = [];
  readonly #places = new Map<Value, number>();

  of(value: Value): number {
    let place = this.#places.get(value);
    if (place === undefined) {
      place = this.entries.push(value) - 1;
      this.#places.set(value, place);
    }
    return place;
  }
}

/** "layers.3.attention.query/lora[4:8]" in its parts. */
function parseCandidate(id: string): Omit<GateCandidate, "parameters"> {
  const match = /^(layers\.(\d+)\.([^/]+))\/([^[]+)\[(\d+):(\d+)\]$/.exec(id);
  if (match === null) throw new Error(`"${id}" is not a candidate`);
  const [, site, layer, slot, kind, start, end] = match as unknown as [string, ...string[]];
  return {
    site: site!,
    layer: Number(layer),
    slot: slot!,
    kind: kind!,
    start: Number(start),
    size: Number(end) - Number(start),
  };
}
