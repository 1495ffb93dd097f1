/**
 * How the dashboard holds up: a thousand synthetic runs in one folder, and one run of 100,000 events.
 *
 *     npm run build && npx jiti scripts/dashboard-load.ts        (needs Chromium; CHROMIUM names another one)
 *
 * Prints, each as the median of `rounds`: the list's first answer and the answer when nothing changed; the time until the page
 * shows all runs, and until a filter typed into it has acted; the time until a run of 100,000 events is shown whole; the time from
 * an event's writing until the page shows it. Then the sizes of the built page and of a report.
 */
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { startDashboard } from "../src/dashboard/server.js";
import { writeReport } from "../src/report/html/write.js";
import { browserPath, launchBrowser, openPage } from "../test/browser.js";
import { appendEvents, writeSyntheticRun } from "../test/fixtures/synthetic-run.js";

const runs = 1000;
const events = 100_000;
const rounds = 5;

const folder = await mkdtemp(path.join(tmpdir(), "espalier-load-"));
try {
  if (browserPath === undefined) throw new Error("no Chromium was found; CHROMIUM names one");
  for (let index = 0; index < runs; index++) {
    await writeSyntheticRun(folder, { directory: `run-${index}`, steps: 4, seeds: 1, seed: index + 1 });
  }
  // Of 18 trials three search as well as fit.
  const steps = Math.floor(events / 21);
  const long = await writeSyntheticRun(folder, { directory: "long", steps, finished: 17 / 18, pid: process.pid });
  const written = (await readFile(path.join(long, "events.jsonl"), "utf8")).split("\n").length - 1;
  await using dashboard = await startDashboard({ folder });
  const browser = await launchBrowser();
  const { page, errors } = await openPage(browser);

  const asked = async (place: string) => (await fetch(dashboard.url + place)).text();
  show("list, first answer", [await timed(() => asked("api/runs"))]);
  show("list, nothing changed", await repeated(() => asked("api/runs")));
  const list = page.getByText(`${runs + 1} of ${runs + 1} runs`);
  show(
    `page with ${runs + 1} runs`,
    await repeated(async () => {
      await page.goto("about:blank");
      await page.goto(dashboard.url);
      await list.waitFor();
    }),
  );
  const filter = page.getByRole("searchbox");
  show(
    "a filter of three letters",
    await repeated(
      async () => {
        await filter.fill("999");
        await page.getByText(`1 of ${runs + 1} runs`).waitFor();
      },
      async () => {
        await filter.fill("");
        await list.waitFor();
      },
    ),
  );
  const last = page.getByRole("img", { name: "parameters that the gates spend" });
  const opened = async () => {
    await page.goto("about:blank");
    await page.goto(`${dashboard.url}#/run/long`);
    await last.waitFor();
  };
  show(`run of ${written.toLocaleString("en")} events, first time`, [await timed(opened)]);
  show("the same again", await repeated(opened));
  let count = written;
  show(
    "from an event's writing to the page",
    await repeated(async () => {
      const message = `message ${++count}`;
      await appendEvents(long, [{ seq: count, time: Date.now() / 1000, type: "warning", trial: null, message }]);
      await page.getByText(message).waitFor();
    }),
  );
  if (errors.length > 0) console.log(`in the page: ${errors.join("; ")}`);
  await browser.close();

  const app = path.resolve(import.meta.dirname, "..", "dist", "dashboard", "app");
  const files = (await readdir(app, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const contents = await Promise.all(files.map((entry) => readFile(path.join(entry.parentPath, entry.name))));
  const [plain, zipped] = [contents, contents.map((content) => gzipSync(content))].map((parts) =>
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  console.log(`built page: ${kilobytes(plain!)}, ${kilobytes(zipped!)} as gzip`);
  const run = await writeSyntheticRun(folder, { directory: "reported" });
  show("report of 18 trials", await repeated(() => writeReport(run)));
  console.log(`report: ${kilobytes((await stat(path.join(run, "report.html"))).size)}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function repeated(work: () => Promise<unknown>, between = async () => {}): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    times.push(await timed(work));
    await between();
  }
  return times;
}

function show(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!;
  const span = sorted.length > 1 ? ` (${sorted[0]!.toFixed(0)} to ${sorted.at(-1)!.toFixed(0)})` : "";
  console.log(`${what}: ${median.toFixed(0)} ms${span}`);
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`;
}
