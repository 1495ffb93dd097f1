/** Whether a method of one run can be compared with one of another, and what else sets the two runs apart. */
import path from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.js";
import { nearest } from "../experiment/check.js";
import type { RunRecord } from "../experiment/records.js";
import type { Plan } from "../experiment/schema/index.js";
import { readPlan, readRecord } from "./read.js";
import { readLock } from "./whole.js";

/** A method of a run that has ended. */
export interface Side {
  directory: string;
  /** The run's name and the method's. */
  name: string;
  method: string;
  plan: Plan;
  record: RunRecord;
  hashes: z.output<typeof HashesSchema>;
}

export interface Comparable {
  /** The tasks of both runs. */
  tasks: string[];
  /** The seeds of both plans. */
  seeds: number[];
  /** What differs and does not stand in the way, as `field: a / b`. */
  differs: string[];
}

const HashesSchema = z.object({
  model: z.string(),
  data: z.record(z.string(), z.string()),
  evaluation: z.record(z.string(), z.string()).default({}),
});

/**
 * @param method undefined: the run's answer
 * @throws EspalierError ("input") where the run has not ended, or has no such method
 */
export async function readSide(directory: string, method: string | undefined): Promise<Side> {
  const plan = await readPlan(directory);
  const record = await readRecord(directory);
  const run = path.basename(directory);
  if (record === undefined) {
    throw new EspalierError(`${run}: the run has not ended, so there is nothing to compare yet`, {
      code: "input",
      mend: `If nothing writes it any more, continue it with: espalier run --resume ${directory}`,
    });
  }
  const names = plan.methods.map((entry) => entry.name ?? entry.method);
  const chosen = method ?? names[0]!;
  if (!names.includes(chosen)) {
    const near = nearest(chosen, names);
    throw new EspalierError(`${run}: it has no method "${chosen}"; it has ${names.join(", ")}`, {
      code: "input",
      mend: near === undefined ? "Name one of them as RUN/METHOD." : `Did you mean "${run}/${near}"?`,
    });
  }
  const lock = z.object({ hashes: HashesSchema }).safeParse(await readLock(directory));
  if (!lock.success) {
    throw new EspalierError(`${path.join(directory, "lock.json")}: it does not say which model and rows were used`, {
      code: "input",
      mend: "The run is damaged; run it again.",
    });
  }
  return { directory, name: `${run}/${chosen}`, method: chosen, plan, record, hashes: lock.data.hashes };
}

/** @throws EspalierError ("input") that names every reason why `a` and `b` cannot be compared */
export function comparable(a: Side, b: Side): Comparable {
  const tasks = a.plan.tasks.map((task) => task.name).filter((name) => b.plan.tasks.some((task) => task.name === name));
  const seeds = a.plan.seeds.filter((seed) => b.plan.seeds.includes(seed));
  const reasons = [
    ...(a.name === b.name && a.directory === b.directory ? ["they are the same trials"] : []),
    ...(a.hashes.model === b.hashes.model ? [] : ["backbone: they are of different weights"]),
    ...(tasks.length > 0 ? [] : [`tasks: none is in both; ${taskNames(a)} there, ${taskNames(b)} here`]),
    ...(seeds.length > 0
      ? []
      : [`seeds: none is in both; ${a.plan.seeds.join(", ")} there, ${b.plan.seeds.join(", ")} here`]),
    ...tasks.flatMap((task) => reasonsOf(task, a, b)),
  ];
  if (reasons.length > 0) {
    throw new EspalierError(`${a.name} and ${b.name} cannot be compared: ${reasons.join("; ")}`, {
      code: "input",
      mend: "Compare runs on the same backbone, evaluation rows and metrics, with seeds in common.",
    });
  }
  return { tasks, seeds, differs: differences(a, b) };
}

function taskNames({ plan }: Side): string {
  return plan.tasks.map((task) => task.name).join(", ");
}

function reasonsOf(task: string, a: Side, b: Side): string[] {
  const [ofA, ofB] = [a, b].map(({ record }) => record.rows.find((row) => row.task === task));
  const reasons: string[] = [];
  if (ofA?.metric !== ofB?.metric)
    reasons.push(`task "${task}": its metric is ${ofA?.metric} there, ${ofB?.metric} here`);
  if (ofA?.split !== ofB?.split)
    reasons.push(`task "${task}": it was scored on ${ofA?.split} there, on ${ofB?.split} here`);
  const known = task in a.hashes.evaluation && task in b.hashes.evaluation;
  const which = known ? "evaluation" : "data";
  if (a.hashes[which][task] !== b.hashes[which][task]) {
    reasons.push(
      known
        ? `task "${task}": its evaluation rows differ`
        : `task "${task}": its rows differ, and a run does not say whether those of the evaluation do`,
    );
  }
  return reasons;
}

/** Fields of the two plans that differ, beside those that name and list. */
function differences(a: Side, b: Side): string[] {
  const setting = ({ plan, method, hashes }: Side) => ({
    method: plan.methods.find((entry) => (entry.name ?? entry.method) === method),
    budget: plan.budget,
    space: plan.space,
    training: plan.training,
    tune: plan.tune,
    tasks: plan.tasks.map((task) => task.name),
    seeds: plan.seeds,
    "rows of train": hashes.data,
  });
  const [ofA, ofB] = [flat(setting(a)), flat(setting(b))];
  return [...new Set([...Object.keys(ofA), ...Object.keys(ofB)])]
    .filter((field) => ofA[field] !== ofB[field])
    .map((field) =>
      field.startsWith("rows of train") ? field : `${field}: ${ofA[field] ?? "none"} / ${ofB[field] ?? "none"}`,
    );
}

/** Leaves by their path; lists are leaves, and what is null is not there. */
function flat(value: unknown, prefix = ""): Record<string, string> {
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) return { [prefix]: JSON.stringify(value) };
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, part]) => flat(part, prefix === "" ? key : `${prefix}.${key}`)),
  );
}
