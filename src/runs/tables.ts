/** Reads a run's Parquet tables, checked row by row against the contract. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { z } from "zod";
import { EspalierError } from "../errors.js";
import {
  type ComparisonTableRow,
  ComparisonTableSchema,
  type PredictionTableRow,
  PredictionTableSchema,
  type ResultTableRow,
  ResultTableSchema,
} from "../experiment/tables.js";
import { files } from "./layout.js";

/** The rows of results.parquet; undefined until the run has ended. */
export function readResultTable(directory: string): Promise<ResultTableRow[] | undefined> {
  return readTable(path.join(directory, files.results), ResultTableSchema);
}

/** The rows of comparisons.parquet; undefined until the run has ended. */
export function readComparisonTable(directory: string): Promise<ComparisonTableRow[] | undefined> {
  return readTable(path.join(directory, files.comparisons), ComparisonTableSchema);
}

/** What a trial predicted for each row of the evaluation splits; undefined until the trial is done. */
export function readPredictions(directory: string, trial: string): Promise<PredictionTableRow[] | undefined> {
  return readTable(path.join(directory, files.predictions(trial)), PredictionTableSchema);
}

/**
 * The rows of a Parquet file with the columns of `schema`; undefined where there is no such file. A column that may be null
 * and that the file lacks, as one of an earlier Espalier does, is null.
 *
 * @throws EspalierError ("input") where the file is damaged, or holds something else
 */
export async function readTable<Schema extends z.ZodObject>(
  file: string,
  schema: Schema,
): Promise<z.output<Schema>[] | undefined> {
  const bytes = await readFile(file).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const optional = Object.entries(schema.shape).filter(([, column]) => z.safeParse(column, null).success);
  const nulls = Object.fromEntries(optional.map(([name]) => [name, null]));
  try {
    const { buffer, byteOffset, byteLength } = bytes;
    const rows = await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength), compressors });
    const parsed = z.array(schema).safeParse(rows.map((row) => ({ ...nulls, ...numbered(row) })));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new Error(`${issue!.path.join(".")}: ${issue!.message}`);
  } catch (cause) {
    throw new EspalierError(`${file}: cannot be read: ${(cause as Error).message}`, {
      code: "input",
      mend: "The file is damaged; run the trial or the experiment again.",
      cause,
    });
  }
}

/** Parquet's whole numbers come as bigints. */
function numbered(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]),
  );
}
