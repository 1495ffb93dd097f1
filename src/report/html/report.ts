/** The report of a run: one HTML file that needs nothing else, with the pictures as static SVG. */
import { html } from "hono/html";
import type { WholeRun } from "../../runs/whole.js";
import type { Html } from "./figure.js";
import { headsSection } from "./heads-section.js";
import { recordSection } from "./record-section.js";
import { resultsSection } from "./results-section.js";
import { robustnessSection } from "./robustness-section.js";
import { structureSection } from "./structure-section.js";
import { style } from "./style.js";
import { summary } from "./summary.js";
import { trainingSection } from "./training-section.js";

/** The whole file. A run that has not ended is reported as far as it has come. */
export async function htmlReport(run: WholeRun): Promise<string> {
  const sections = [
    resultsSection,
    structureSection,
    headsSection,
    robustnessSection,
    trainingSection,
    recordSection,
  ].map((section) => section(run));
  const page: Html = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${run.name}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${run.plan.name}</h1>
${summary(run)}
</header>
<main>
${sections}
</main>
</body>
</html>
`;
  return String(await page);
}
