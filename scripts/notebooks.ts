/**
 * Executes the notebooks as tslab's kernel does, over a made-up run, and keeps what their cells give.
 *
 *     npm run build && npx jiti scripts/notebooks.ts             writes the outputs into notebooks/*.ipynb
 *     npm run build && npx jiti scripts/notebooks.ts --check     fails where they are others than those that stand there
 *
 * The cells are executed in a folder where espalier is installed as in a user's.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { writeSyntheticRun } from "../test/fixtures/synthetic-run.js";

const root = path.resolve(import.meta.dirname, "..");
const notebooks = path.join(root, "notebooks");
/** What the cells import, beside espalier itself. */
const packages = ["linkedom", "tslab", "@observablehq/plot", "@types/node"];

type Output =
  | { name: "stdout" | "stderr"; output_type: "stream"; text: string[] }
  | { data: Record<string, string[]>; metadata: object; output_type: "display_data" };

interface Cell {
  cell_type: "markdown" | "code";
  source: string[];
  execution_count?: number | null;
  outputs?: Output[];
}

interface Kernel {
  handleExecute(
    request: { code: string },
    stream: (name: "stdout" | "stderr", text: string) => void,
    display: (data: { data: Record<string, string> }) => void,
  ): Promise<{ status: "ok" | "error" | "abort" }>;
  close(): void;
}

const folder = await mkdtemp(path.join(tmpdir(), "espalier-notebooks-"));
const isCheck = process.argv.includes("--check");
const stale: string[] = [];
try {
  await writeSyntheticRun(path.join(folder, "runs"), { name: "example", steps: 60 });
  process.env.ESPALIER_RUNS = path.join(folder, "runs");
  await install();
  process.chdir(folder);
  for (const name of (await readdir(notebooks)).filter((entry) => entry.endsWith(".ipynb")).sort()) {
    const file = path.join(notebooks, name);
    const before = await readFile(file, "utf8");
    const notebook = JSON.parse(before) as { cells: Cell[] };
    await execute(name, notebook.cells);
    const after = `${JSON.stringify(notebook, null, 1)}\n`;
    if (after !== before) stale.push(name);
    if (!isCheck) await writeFile(file, after);
    console.log(`${name}: ${after === before ? "as it stands" : isCheck ? "gives other outputs" : "written"}`);
  }
} finally {
  process.chdir(root);
  await rm(folder, { recursive: true, force: true });
}
process.exit(isCheck && stale.length > 0 ? 1 : 0);

async function install(): Promise<void> {
  for (const name of ["espalier", ...packages]) {
    const place = path.join(folder, "node_modules", name);
    await mkdir(path.dirname(place), { recursive: true });
    await symlink(name === "espalier" ? root : path.join(root, "node_modules", name), place);
  }
}

async function execute(name: string, cells: Cell[]): Promise<void> {
  const kernel = startKernel();
  const write = { stdout: process.stdout.write, stderr: process.stderr.write };
  try {
    let count = 0;
    for (const cell of cells.filter(({ cell_type }) => cell_type === "code")) {
      const outputs: Output[] = [];
      const { status } = await kernel.handleExecute(
        { code: cell.source.join("") },
        (stream, text) => addText(outputs, stream, text),
        ({ data }) => outputs.push({ data: linesOf(data), metadata: {}, output_type: "display_data" }),
      );
      // The kernel takes both streams for the cell.
      Object.assign(process.stdout, { write: write.stdout });
      Object.assign(process.stderr, { write: write.stderr });
      if (status !== "ok") throw new Error(`${name}: ${cell.source.join("")}\n${JSON.stringify(outputs, null, 1)}`);
      cell.execution_count = ++count;
      cell.outputs = outputs;
    }
  } finally {
    kernel.close();
  }
}

/** tslab's kernel, without the sockets by which Jupyter speaks to it. */
function startKernel(): Kernel {
  const require = createRequire(import.meta.url);
  const { createConverter } = require("tslab/dist/converter.js");
  const { createExecutor } = require("tslab/dist/executor.js");
  const { JupyterHandlerImpl } = require("tslab/dist/jupyter.js");
  const node = createConverter({ isJS: false, isBrowser: false });
  const converters = { node, browser: node, close: () => node.close() };
  return new JupyterHandlerImpl(createExecutor(process.cwd(), converters, console), false);
}

/** Text of one stream in a row is one output. */
function addText(outputs: Output[], name: "stdout" | "stderr", text: string): void {
  const last = outputs.at(-1);
  if (last?.output_type === "stream" && last.name === name) {
    last.text = splitLines(last.text.join("") + text);
  } else outputs.push({ name, output_type: "stream", text: splitLines(text) });
}

function linesOf(data: Record<string, string>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(data).map(([type, text]) => [type, splitLines(text)]));
}

/** As notebooks keep text: in lines, each with its end. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+/g) ?? [];
}
