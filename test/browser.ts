/** A real browser for tests: Debian's Chromium, or the one that CHROMIUM names. */
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const places = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Undefined where there is none: the tests that need one are then skipped. */
export const browserPath = places.find((place) => place !== undefined && existsSync(place));
if (browserPath === undefined)
  console.warn("no Chromium was found: tests in a real browser are skipped (apt-get install chromium)");

export async function launchBrowser(): Promise<Browser> {
  // Chromium's sandbox does not start for root, as whom containers run tests.
  return chromium.launch({ executablePath: browserPath!, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** A page that collects what went wrong in it. */
export async function openPage(browser: Browser, options: Parameters<Browser["newPage"]>[0] = {}) {
  const page: Page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  return { page, errors };
}
