/** Scores under noise: a figure for each task and perturbation. */
import { html } from "hono/html";
import { robustnessCurves, robustnessFigures } from "../../charts/index.js";
import type { WholeRun } from "../../runs/whole.js";
import { robustnessLegend } from "../robustness-tables.js";
import { figure, type Html } from "./figure.js";

export function robustnessSection({ robustness }: WholeRun): Html {
  if (robustness === undefined || robustness.curves.length === 0) return html``;
  return html`<section><h2>Robustness</h2>
<p>The fitted models under noise, every method under the same. Bands are 95% intervals over seeds.</p>
<div class="figures">
${robustnessFigures(robustness).map(({ task, perturbation, metric, areas, points }) =>
  figure(`${task}, ${perturbation}.`, `${areas}.`, (options) =>
    robustnessCurves(points, { ...options, perturbation, metric }),
  ),
)}
</div>
<p class="note">${robustnessLegend(robustness)}</p></section>`;
}
