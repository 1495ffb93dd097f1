/** espalier query: SQL over all runs. */
import { EspalierError } from "../errors.js";
import { paintFor } from "../report/paint.js";
import { csvOf } from "../report/tables/csv.js";
import { openStore, type QueryResult } from "../runs/store/store.js";
import { views } from "../runs/store/views.js";
import { type CommonOptions, print, printJson, say } from "./output.js";

export interface QueryOptions extends CommonOptions {
  runs: string;
  format: "table" | "json" | "csv";
  views?: boolean;
}

export async function queryCommand(sql: string | undefined, options: QueryOptions): Promise<number> {
  const format = options.json ? "json" : options.format;
  if (options.views) {
    if (format === "json") printJson({ views });
    else print(viewsText());
    return 0;
  }
  if (sql === undefined) {
    throw new EspalierError("query: no SQL was given", {
      code: "input",
      mend: 'Give it, as in: espalier query "SELECT run, state FROM runs"; --views lists what there is.',
    });
  }
  await using store = await openStore(options.runs);
  const result = await store.query(sql);
  for (const file of store.leftOut) say(`note: ${file} is damaged and was left out`);
  if (format === "json") printJson({ columns: result.columns, rows: objects(result) });
  else if (format === "csv")
    print(
      csvOf(
        result.columns,
        result.rows.map((row) => row.map(text)),
      ),
    );
  else printTable(result);
  return 0;
}

function objects({ columns, rows }: QueryResult): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
}

/** Columns side by side; on a terminal the widest are cut until a line fits. */
function printTable({ columns, rows }: QueryResult): void {
  const cells = [columns, ...rows.map((row) => row.map(text))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => row[index]!.length)));
  if (process.stdout.isTTY) narrow(widths, process.stdout.columns ?? 80);
  const right = columns.map((_, index) => rows.length > 0 && rows.every((row) => isNumber(row[index])));
  const paint = paintFor(process.stdout);
  for (const [number, row] of cells.entries()) {
    const line = row
      .map((value, index) => fitted(value, widths[index]!, right[index]!))
      .join("  ")
      .trimEnd();
    print(number === 0 ? paint.bold(line) : line);
  }
  say(`${rows.length} ${rows.length === 1 ? "row" : "rows"}`);
}

function narrow(widths: number[], room: number): void {
  const least = 4;
  const over = () => widths.reduce((sum, width) => sum + width + 2, -2) - room;
  for (let left = over(); left > 0; left = over()) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= least) return;
    widths[widest]! -= 1;
  }
}

function fitted(value: string, width: number, right: boolean): string {
  const cut = value.length > width ? `${value.slice(0, width - 1)}~` : value;
  return right ? cut.padStart(width) : cut.padEnd(width);
}

const isNumber = (value: unknown) => value === null || typeof value === "number";

function text(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(text).join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function viewsText(): string {
  return views
    .map(({ name, row, columns }) => {
      const lines = Object.entries(columns).map(([column, { type, says }]) =>
        `  ${column.padEnd(20)} ${type.padEnd(10)} ${says}`.trimEnd(),
      );
      return [`${name}: one row is ${row}`, ...lines].join("\n");
    })
    .join("\n\n");
}
