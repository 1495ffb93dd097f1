/** The views that come from each run's plan and record: read and checked in TypeScript, kept in memory. */
import path from "node:path";
import type { z } from "zod";
import type { Plan } from "../../experiment/schema/index.js";
import { ComparisonTableSchema, ResultTableSchema } from "../../experiment/tables.js";
import type { RunSummary } from "../read.js";
import type { ViewName } from "./views.js";

export type Row = Record<string, unknown>;

/** The rows of `runs`, `results`, `comparisons` and `exports`. */
export function recordRows(runs: readonly RunSummary[]): Partial<Record<ViewName, Row[]>> {
  return {
    runs: runs.map(runRow),
    results: runs.flatMap(({ name, record }) =>
      [...(record?.rows ?? []), ...(record?.overTasks?.rows ?? [])].map((row) => ({
        run: name,
        ...tableRow(ResultTableSchema, row),
      })),
    ),
    comparisons: runs.flatMap(({ name, record }) =>
      [...(record?.comparisons ?? []), ...(record?.overTasks?.comparisons ?? [])].map((row) => ({
        run: name,
        ...tableRow(ComparisonTableSchema, row),
      })),
    ),
    exports: runs.flatMap(({ name, record }) =>
      (record?.exports ?? []).map(({ to, ...row }) => ({ run: name, format: to, ...flat(row) })),
    ),
  };
}

function runRow({ directory, name, state, problem, plan, record, started }: RunSummary): Row {
  return {
    run: name,
    directory: path.resolve(directory),
    state,
    problem: problem ?? null,
    name: plan?.name ?? null,
    started: started?.toISOString() ?? null,
    seconds: record?.seconds ?? null,
    backbone: plan === undefined ? null : backboneName(plan.backbone),
    tasks: plan?.tasks.map((task) => task.name) ?? [],
    methods: plan?.methods.map((method) => method.name ?? method.method) ?? [],
    seeds: plan?.seeds.length ?? null,
    trials: plan?.trials.length ?? null,
    full_step_ms: record?.fullStepMs ?? null,
    warnings: record?.warnings ?? [],
  };
}

function backboneName(backbone: Plan["backbone"]): string {
  switch (backbone.source) {
    case "embedded":
      return backbone.name;
    case "folder":
      return backbone.path;
    case "hub":
      return backbone.id;
  }
}

/** A record's row as its table has it; a part that is null, such as a memory of no structure, leaves its columns null. */
function tableRow(schema: z.ZodObject, record: object): Row {
  const row = flat(record);
  return Object.fromEntries(Object.keys(schema.shape).map((name) => [name, row[name] ?? null]));
}

/** {"stepMs": {"measured": 1}} as {"step_ms_measured": 1}; an interval as two columns. */
function flat(record: object, prefix = ""): Row {
  const row: Row = {};
  for (const [key, value] of Object.entries(record)) {
    const name = `${prefix}${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
    if (key === "ci95") {
      const [low, high] = (value as [unknown, unknown] | null) ?? [null, null];
      row[`${name}_low`] = low;
      row[`${name}_high`] = high;
    } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      Object.assign(row, flat(value, `${name}_`));
    } else row[name] = value;
  }
  return row;
}
