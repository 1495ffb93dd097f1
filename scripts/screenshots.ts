/**
 * The README's two pictures, taken from a real run of the main job: the page while a search goes on, and a found structure.
 *
 *     npm run build && npx jiti scripts/screenshots.ts [RUN]        (needs Chromium; CHROMIUM names another one)
 *
 * Without RUN the main job is run, into ./runs; a RUN under way is watched instead. The pictures are docs/live-run.png and
 * docs/structure.png.
 */
import path from "node:path";
import { execa } from "execa";
import type { Page } from "playwright-core";
import { startDashboard } from "../src/dashboard/server.js";
import { listRuns } from "../src/runs/read.js";
import { browserPath, launchBrowser, openPage } from "../test/browser.js";

const root = path.resolve(import.meta.dirname, "..");
const picture = (name: string) => path.join(root, "docs", `${name}.png`);
const given = process.argv[2];
const folder = given === undefined ? path.resolve("runs") : path.dirname(path.resolve(given));

if (browserPath === undefined) throw new Error("no Chromium was found; CHROMIUM names one");
const before = new Set((await listRuns(folder)).map((run) => run.name));
const main = path.join(root, "dist", "cli", "main.js");
const job =
  given === undefined
    ? execa(process.execPath, [main, "quickstart", "--runs", folder], { stdio: "inherit" })
    : undefined;
await using dashboard = await startDashboard({ folder });
const browser = await launchBrowser();
try {
  const { page } = await openPage(browser, { viewport: { width: 1280, height: 1000 }, colorScheme: "light" });
  page.setDefaultTimeout(0);
  await page.goto(
    `${dashboard.url}#/run/${encodeURIComponent(given === undefined ? await begun() : path.basename(given))}`,
  );
  await halfSearched(page);
  await page.screenshot({ path: picture("live-run") });
  await page.getByText("chosen at the end").waitFor();
  await page.locator("#Structure").screenshot({ path: picture("structure") });
  await job;
} finally {
  await browser.close();
  job?.kill();
}

/** The name of the run that has just been started. */
async function begun(): Promise<string> {
  for (;;) {
    const run = (await listRuns(folder)).find(({ name }) => !before.has(name));
    if (run !== undefined) return run.name;
    await wait(500);
  }
}

/** Until a search is half done, and its gates of then are shown. */
async function halfSearched(page: Page): Promise<void> {
  const slider = page.getByText(/step \d+ of \d+, the newest/);
  for (;;) {
    const [, step, steps] = /step (\d+) of (\d+)/.exec((await slider.textContent()) ?? "") ?? [];
    if (2 * Number(step) >= Number(steps)) return;
    await wait(500);
  }
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
