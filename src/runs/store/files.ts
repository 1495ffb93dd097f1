/** The views that DuckDB reads from the trials' own files, when a query first asks for them. */
import { type ViewName, views } from "./views.js";

export interface FileView {
  /** Where the files lie, below the folder of runs. */
  glob: string;
  /** The SELECT over those files; `list` is a list of DuckDB. It gives `filename`, run and trial come from it. */
  select(list: string): string;
}

const columnsOf = (name: ViewName): string => {
  const own = Object.entries(views.find((view) => view.name === name)!.columns);
  return `{${own
    .filter(([key]) => key !== "run")
    .map(([key, { type }]) => `${key}: '${type}'`)
    .join(", ")}}`;
};

/** A JSON file as `content`, `{}` where it is half a file or damaged, so that it never breaks a query. */
const documents = (list: string) =>
  `(SELECT filename, json_valid(content) AS whole, CASE WHEN json_valid(content) THEN content ELSE '{}' END AS content
    FROM read_text(${list}))`;
const text = (path: string, from = "content") => `${from}->>'$.${path}'`;
const real = (path: string, from = "content") => `TRY_CAST(${from}->>'$.${path}' AS DOUBLE)`;
const whole = (path: string, from = "content") => `TRY_CAST(${from}->>'$.${path}' AS INTEGER)`;

/** Lines that are no event, such as the torn last one of a killed writer, come as rows of nulls and are left out. */
const lines = (list: string, columns: string) =>
  `SELECT * FROM read_json(${list}, format = 'newline_delimited', ignore_errors = true, filename = true, columns = ${columns})
   WHERE seq IS NOT NULL`;
const table = (list: string) => `SELECT * FROM read_parquet(${list}, union_by_name = true, filename = true)`;

export const fileViews: Partial<Record<ViewName, FileView>> = {
  trials: {
    glob: "*/trials/*/result.json",
    select: (list) => `SELECT filename, ${text("method")} AS method, ${whole("draw")} AS draw, ${whole("seed")} AS seed,
      CASE WHEN whole THEN ${text("status")} ELSE 'damaged' END AS status, ${text("error")} AS error,
      ${real("union")} AS parameters_union, ${whole("lowestLayer")} AS lowest_layer,
      ${whole("steps.search")} AS steps_search, ${whole("steps.fit")} AS steps_fit,
      ${real("stepMs.search")} AS step_ms_search, ${real("stepMs.fit")} AS step_ms_fit,
      ${real("seconds.search")} AS seconds_search, ${real("seconds.fit")} AS seconds_fit,
      ${real("seconds.evaluate")} AS seconds_evaluate, ${real("peakMemoryMiB")} AS peak_memory_mi_b
      FROM ${documents(list)}`,
  },
  scores: {
    glob: "*/trials/*/result.json",
    select: (list) => `SELECT filename, ${text("method")} AS method, ${whole("seed")} AS seed, e.key AS task,
      ${text("metric", "e.value")} AS metric, ${text("split", "e.value")} AS split, ${real("score", "e.value")} AS score,
      ${real("hardenedBeforeFit", "e.value")} AS hardened_before_fit, ${whole("rows", "e.value")} AS rows,
      ${real("parameters", "e.value")} AS parameters
      FROM ${documents(list)} d, json_each(d.content, '$.tasks') e`,
  },
  candidates: {
    glob: "*/trials/*/structure.json",
    select: (list) => `SELECT filename, ${text("method")} AS method, ${text("site", "e.value")} AS site,
      ${whole("layer", "e.value")} AS layer, ${text("slot", "e.value")} AS slot, ${text("kind", "e.value")} AS kind,
      ${whole("start", "e.value")} AS start, ${whole("size", "e.value")} AS size,
      ${real("parameters", "e.value")} AS parameters, from_json(e.value->'$.tasks', '["VARCHAR"]') AS tasks
      FROM ${documents(list)} d, json_each(d.content, '$.candidates') e`,
  },
  gates: { glob: "*/trials/*/gates.parquet", select: table },
  predictions: { glob: "*/trials/*/predictions.parquet", select: table },
  steps: {
    glob: "*/trials/*/events.jsonl",
    select: (list) =>
      lines(
        list,
        "{seq: 'INTEGER', time: 'DOUBLE', stage: 'VARCHAR', step: 'INTEGER', steps: 'INTEGER', loss: 'DOUBLE'}",
      ),
  },
  events: { glob: "*/events.jsonl", select: (list) => lines(list, columnsOf("events")) },
};
