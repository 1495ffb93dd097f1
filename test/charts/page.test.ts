/** The example page: espalier/charts in a browser, bundled by Vite as a user's own page would be. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createServer } from "vite";
import { expect, test } from "vitest";
import { browserPath, launchBrowser, openPage } from "../browser.js";
import { writeSyntheticRun } from "../fixtures/synthetic-run.js";

test.skipIf(browserPath === undefined)("examples/charts-page draws a run in a browser, without Node", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "espalier-charts-"));
  const run = await writeSyntheticRun(folder, { name: "shown" });
  const server = await createServer({
    configFile: false,
    root: path.resolve(import.meta.dirname, "..", "..", "examples", "charts-page"),
    publicDir: run,
    cacheDir: path.join(folder, "vite"),
    server: { port: 0, host: "127.0.0.1", hmr: false },
    logLevel: "error",
  });
  await server.listen();
  const browser = await launchBrowser();
  try {
    const { page, errors } = await openPage(browser);
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.locator("svg").nth(5).waitFor();
    expect(await page.locator("h1").textContent()).toBe("shown");
    expect(await page.getByRole("img", { name: /against its rivals on snips/ }).count()).toBe(1);
    const colour = "getComputedStyle(document.querySelector('svg circle[fill=\"var(--series-0)\"]')).fill";
    expect(await page.evaluate(colour)).toBe("rgb(122, 46, 142)");
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
