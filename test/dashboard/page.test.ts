/** The page in a real browser, on a real server and synthetic runs. */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Dashboard, startDashboard } from "../../src/dashboard/server.js";
import { browserPath, launchBrowser, openPage } from "../browser.js";
import { card } from "../fixtures/robustness.js";
import { appendEvents, syntheticRun, writeSearch, writeSyntheticRun } from "../fixtures/synthetic-run.js";

const markup = '<img src=x onerror="document.title=1">';

describe.skipIf(browserPath === undefined)("the dashboard's page", () => {
  let folder: string;
  let dashboard: Dashboard;
  let browser: Browser;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "espalier-page-"));
    await writeSyntheticRun(folder, { directory: "whole", steps: 20, warnings: [`mind ${markup}`] });
    await writeFile(path.join(folder, "whole", "robustness.json"), JSON.stringify(card));
    await writeSyntheticRun(folder, { directory: markup, steps: 5 });
    await writeSyntheticRun(folder, { directory: "live", steps: 10, finished: 0.5, pid: process.pid });
    dashboard = await startDashboard({ folder, resume: async () => "error: no Python here" });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await dashboard.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens the page at `address` and hands it to `use`; nothing may have gone wrong in it. */
  async function at(address: string, use: (page: Page) => Promise<void>, expectedErrors: RegExp = /^$/): Promise<void> {
    const { page, errors } = await openPage(browser);
    await page.goto(`${dashboard.url}${address}`);
    await use(page);
    expect(errors.filter((error) => !expectedErrors.test(error))).toEqual([]);
    await page.close();
  }
  const opened = (run: string) => `#/run/${encodeURIComponent(run)}`;
  const figure = (page: Page, name: RegExp) => page.getByRole("img", { name });

  test("lists runs, shows only those that are asked for, and opens one by the keyboard", async () => {
    await at("", async (page) => {
      await page.getByRole("status").getByText("3 of 3 runs").waitFor();
      await page.getByRole("searchbox").fill("whole done");
      await page.getByRole("status").getByText("1 of 3 runs").waitFor();
      await page.getByRole("link", { name: "whole" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "whole" }).waitFor();
    });
  });

  test("a robustness card is drawn as curves, and a run without one has no such part", async () => {
    await at(opened("whole"), async (page) => {
      await figure(page, /^accuracy under input noise/).waitFor();
      await page.getByRole("link", { name: "Robustness" }).waitFor();
    });
    await at(opened("live"), async (page) => {
      await page.getByRole("heading", { level: 2, name: "Training" }).waitFor();
      expect(await page.getByRole("heading", { name: "Robustness" }).count()).toBe(0);
    });
  });

  test("a new run appears in the list, and one that is taken away leaves it", async () => {
    await at("", async (page) => {
      await page.getByText("3 of 3 runs").waitFor();
      const run = await writeSyntheticRun(folder, { directory: "newcomer", steps: 5 });
      await page.getByRole("link", { name: "newcomer" }).waitFor();
      await rm(run, { recursive: true });
      await page.getByText("3 of 3 runs").waitFor();
    });
  });

  test("shows all figures of a run", async () => {
    await at(opened("whole"), async (page) => {
      for (const name of [
        ...[/against its rivals on snips/, /against its rivals on qnli/, /score on snips against parameters/],
        ...[
          /score on qnli against step time/,
          /^All that any task uses/,
          /^Only what qnli uses/,
          /^What all tasks share/,
        ],
        ...[
          /structures of two trials/,
          /loss during the search/,
          /loss during the fit/,
          /gates spend/,
          /seconds of one seed/,
        ],
      ]) {
        await figure(page, name).waitFor();
      }
      await page.getByText("exports/snips-peft/adapter_config.json").waitFor();
    });
  });

  test("the slider goes through the steps of the search, by the keyboard too", async () => {
    await at(opened("whole"), async (page) => {
      const slider = page.getByRole("slider", { name: "Search step" });
      await slider.focus();
      await page.keyboard.press("Home");
      await figure(page, /Only what qnli uses. Gates at step 0/).waitFor();
      await page.getByText("step 0 of 20: share that is open").waitFor();
      await page.keyboard.press("ArrowRight");
      await figure(page, /Only what qnli uses. Gates at step 2/).waitFor();
      await page.keyboard.press("End");
      await page.getByText("chosen at the end").waitFor();
      await page.getByRole("combobox", { name: /^Trial/ }).selectOption("uniform-seed1");
      await page.getByText("This trial learned no gates").waitFor();
    });
  });

  test("follows a live run: progress, time left, and the trials that end", async () => {
    await at(opened("live"), async (page) => {
      const bar = page.getByRole("progressbar", { name: "work done of the whole run" });
      await expect.poll(() => bar.getAttribute("aria-valuenow")).toBe("50");
      await page.getByText(/about .* left/).waitFor();
      await page.getByText("9 of 18 trials have not begun.").waitFor();
      const events = syntheticRun({ steps: 10 }).events.slice(syntheticRun({ steps: 10, finished: 0.5 }).events.length);
      const half = events.findIndex((event) => event.type === "trial.finished") + 1;
      await appendEvents(path.join(folder, "live"), events.slice(0, half));
      await page.getByText("10 of 18 trials ended").waitFor();
      await expect.poll(async () => Number(await bar.getAttribute("aria-valuenow"))).toBeGreaterThan(50);
    });
  });

  test("the slider follows a search under way, and stays where it was put", async () => {
    const run = { steps: 20, finished: 0 };
    const directory = await writeSyntheticRun(folder, { ...run, directory: "search", searched: 5, pid: process.pid });
    const goOn = async (searched: number) => {
      const [before, after] = [syntheticRun({ ...run, searched: searched - 4 }), syntheticRun({ ...run, searched })];
      await writeSearch(directory, after.searching!);
      await appendEvents(directory, after.events.slice(before.events.length));
    };
    await at(opened("search"), async (page) => {
      await page.getByText("step 4 of 20, the newest: share that is open").waitFor();
      await figure(page, /gates spend/).waitFor();
      await goOn(9);
      await figure(page, /^Only what qnli uses. Gates at step 8/).waitFor();
      await page.getByText("step 8 of 20, the newest").waitFor();
      await page.getByRole("slider", { name: "Search step" }).focus();
      await page.keyboard.press("ArrowLeft");
      await page.getByText("step 6 of 20: share that is open").waitFor();
      await goOn(13);
      await expect.poll(() => page.getByRole("slider").getAttribute("max"), { timeout: 10_000 }).toBe("6");
      await figure(page, /^Only what qnli uses. Gates at step 6/).waitFor();
      await page.keyboard.press("End");
      await page.getByText("step 12 of 20, the newest").waitFor();
    });
    await rm(directory, { recursive: true });
  });

  test("stops a run with the token, and not without", async () => {
    const request = path.join(folder, "live", "stop.request");
    const refusal = /status of 401/;
    await at(
      opened("live"),
      async (page) => {
        await page.getByRole("button", { name: "Stop", exact: true }).click();
        await page.getByLabel(/^Token/).fill("a guess");
        await page.getByRole("button", { name: "Stop the run" }).click();
        await page.getByText("That is not the token.").waitFor();
        expect(await stat(request).catch(() => undefined)).toBeUndefined();
        await page.getByLabel(/^Token/).fill(dashboard.token);
        await page.keyboard.press("Enter");
        await page.getByText("asked to stop after the step in hand").waitFor();
        expect((await stat(request)).size).toBeGreaterThan(0);
      },
      refusal,
    );
  });

  test("resumes an interrupted run, and says why where that fails", async () => {
    await writeSyntheticRun(folder, { directory: "stopped", steps: 5, finished: 0.5 });
    await at(opened("stopped"), async (page) => {
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByLabel(/^Token/).fill(dashboard.token);
      await page.keyboard.press("Enter");
      await page.getByText("could not be resumed: error: no Python here").waitFor();
    });
    await rm(path.join(folder, "stopped"), { recursive: true });
  });

  test("a run directory that is deleted while open is said, and what was read stays", async () => {
    const run = await writeSyntheticRun(folder, { directory: "leaving", steps: 5 });
    const use = async (page: Page) => {
      await figure(page, /^All that any task uses/).waitFor();
      await rm(run, { recursive: true });
      await page.getByText("The run's directory was taken away").waitFor();
      expect(await figure(page, /^All that any task uses/).count()).toBe(1);
    };
    // Files go one by one: who asks in between is told that the run is damaged, or that it is gone.
    await at(opened("leaving"), use, /status of 4(22|04)/);
  });

  test("a name with markup in it is text", async () => {
    await at("", async (page) => {
      await page.getByRole("link", { name: markup }).click();
      expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe(markup);
      await figure(page, /^All that any task uses/).waitFor();
      await page.goto(`${dashboard.url}${opened("whole")}`);
      await page.getByText(`mind ${markup}`).waitFor();
      expect(await page.locator("img").count()).toBe(0);
      expect(await page.title()).not.toBe("1");
    });
  });

  test("what cannot be shown is said: no such run, a damaged one", async () => {
    await at(opened("nothing"), (page) => page.getByText("there is no such run").waitFor(), /status of 404/);
    const run = await writeSyntheticRun(folder, { directory: "damaged", steps: 5 });
    await writeFile(path.join(run, "plan.json"), "{");
    await at(opened("damaged"), (page) => page.getByText(/plan\.json: cannot be read/).waitFor(), /status of 422/);
    await rm(run, { recursive: true });
  });

  test("fits a narrow screen without scrolling sideways, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const { page } = await openPage(browser, { viewport: { width: 390, height: 800 }, colorScheme });
      for (const address of ["", opened("whole")]) {
        await page.goto(`${dashboard.url}${address}`);
        await page.reload();
        await (address === "" ? page.getByText("3 of 3 runs") : figure(page, /seconds of one seed/)).waitFor();
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
      }
      await page.close();
    }
  });
});
