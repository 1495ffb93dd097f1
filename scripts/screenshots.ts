/**
 * The README's two pictures, taken from a real run of the main job: the page while a search goes on, and the finished structure.
 *
 *     npm run build && npx jiti scripts/screenshots.ts [RUNS]        (needs Chromium; CHROMIUM names another one)
 *
 * The run is left in RUNS, by default ./runs; the pictures are docs/live-run.png and docs/structure.png.
 */
import path from "node:path";
import { execa } from "execa";
import type { Page } from "playwright-core";
import { startDashboard } from "../src/dashboard/server.js";
import { listRuns } from "../src/runs/read.js";
import { browserPath, launchBrowser, openPage } from "../test/browser.js";

const root = path.resolve(import.meta.dirname, "..");
const folder = path.resolve(process.argv[2] ?? "runs");
/** The seed whose search is shown: one trial has ended by then. */
const searching = "budgeted-seed1";

if (browserPath === undefined) throw new Error("no Chromium was found; CHROMIUM names one");
const before = new Set((await listRuns(folder)).map((run) => run.name));
const job = execa(process.execPath, [path.join(root, "dist", "cli", "main.js"), "quickstart", "--runs", folder], {
  stdio: "inherit",
});
await using dashboard = await startDashboard({ folder });
const browser = await launchBrowser();
try {
  const { page } = await openPage(browser, { viewport: { width: 1280, height: 1040 }, colorScheme: "light" });
  await page.goto(`${dashboard.url}#/run/${encodeURIComponent(await begun())}`);
  await halfSearched(page);
  await page.screenshot({ path: path.join(root, "docs", "live-run.png") });
  await job;
  await page.getByText("chosen at the end").waitFor();
  await page.locator("#Structure").screenshot({ path: path.join(root, "docs", "structure.png") });
} finally {
  await browser.close();
  job.kill();
}

/** The name of the run that has just been started. */
async function begun(): Promise<string> {
  for (;;) {
    const run = (await listRuns(folder)).find(({ name }) => !before.has(name));
    if (run !== undefined) return run.name;
    await wait(500);
  }
}

/** Until the page shows the search half done. */
async function halfSearched(page: Page): Promise<void> {
  const where = page.getByText(`${searching} search, step`);
  for (;;) {
    await where.waitFor({ timeout: 0 });
    const [, step, steps] = /search, step (\d+) of (\d+)/.exec((await where.textContent()) ?? "") ?? [];
    if (Number(step) * 2 >= Number(steps)) break;
    await wait(500);
  }
  // The gates of that step are read a moment later.
  await wait(2000);
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
