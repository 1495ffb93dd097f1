/** Two structures against each other: what they share, by candidates and by cost, and what moved where. */
import type { Structure } from "../experiment/records.js";
import type { Slot } from "../experiment/schema/index.js";

/** What two sets share: |both| / |a or b|, 1 where both are empty. */
export interface Overlap {
  both: number;
  onlyA: number;
  onlyB: number;
  jaccard: number;
}

/** A layer and slot at which a kind has another size in b than in a: ranks or widths. */
export interface Move {
  layer: number;
  slot: Slot;
  kind: string;
  a: number;
  b: number;
}

export interface StructureComparison {
  /** Counts candidates; two are the same where site, kind, first unit and size are. */
  candidates: Overlap;
  /** Counts parameters rank by rank, so that structures cut into other chunks can be compared. */
  parameters: Overlap;
  /** The same for each task of both, over what the task uses. */
  tasks: Record<string, { candidates: Overlap; parameters: Overlap }>;
  /** From the lowest layer up. */
  moved: Move[];
}

/** Overlap of `a` and `b`, and what moved per layer and slot. */
export function compareStructures(a: Structure, b: Structure): StructureComparison {
  const tasks = a.tasks.filter((task) => b.tasks.includes(task));
  const used = (of: Structure, task: string) => of.candidates.filter((candidate) => candidate.tasks.includes(task));
  return {
    candidates: overlap(byCandidate(a.candidates), byCandidate(b.candidates)),
    parameters: overlap(byUnit(a.candidates), byUnit(b.candidates)),
    tasks: Object.fromEntries(
      tasks.map((task) => {
        const [ofA, ofB] = [used(a, task), used(b, task)];
        return [
          task,
          {
            candidates: overlap(byCandidate(ofA), byCandidate(ofB)),
            parameters: overlap(byUnit(ofA, task), byUnit(ofB, task)),
          },
        ];
      }),
    ),
    moved: moves(a.candidates, b.candidates),
  };
}

export const structure = { compare: compareStructures };

type Chosen = Structure["candidates"];

/** Weight 1 for each candidate. */
function byCandidate(candidates: Chosen): Map<string, number> {
  return new Map(candidates.map(({ site, kind, start, size }) => [`${site}/${kind}[${start}+${size}]`, 1]));
}

/** The parameters of each single rank or width, without those that are other tasks' own where one task is looked at. */
function byUnit(candidates: Chosen, task?: string): Map<string, number> {
  return new Map(
    candidates.flatMap(({ site, kind, start, size, parameters, ofOthers }) =>
      Array.from({ length: size }, (_, unit): [string, number] => [
        `${site}/${kind}[${start + unit}]`,
        (parameters - (task === undefined ? 0 : ofOthers)) / size,
      ]),
    ),
  );
}

function overlap(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Overlap {
  const sum = (of: ReadonlyMap<string, number>, counts: (key: string) => boolean) =>
    Math.round([...of].reduce((total, [key, weight]) => total + (counts(key) ? weight : 0), 0));
  const both = sum(a, (key) => b.has(key));
  const onlyA = sum(a, (key) => !b.has(key));
  const onlyB = sum(b, (key) => !a.has(key));
  const all = both + onlyA + onlyB;
  return { both, onlyA, onlyB, jaccard: all === 0 ? 1 : both / all };
}

function moves(a: Chosen, b: Chosen): Move[] {
  const places = new Map<string, Move>();
  for (const [side, candidates] of [["a", a] as const, ["b", b] as const]) {
    for (const { layer, slot, kind, size } of candidates) {
      const key = `${layer}.${slot}/${kind}`;
      const place = places.get(key) ?? { layer, slot, kind, a: 0, b: 0 };
      places.set(key, { ...place, [side]: place[side] + size });
    }
  }
  return [...places.values()]
    .filter((place) => place.a !== place.b)
    .sort((one, other) => one.layer - other.layer || one.slot.localeCompare(other.slot));
}
