/** Scores under noise: a figure for each task and perturbation. */
import { html, type TemplateResult } from "lit-html";
import { robustnessCurves, robustnessFigures } from "../../charts/index.js";
import type { Robustness } from "../../experiment/records.js";
import { figure } from "./parts.js";

export function robustnessSection(card: Robustness): TemplateResult {
  return html`<p class="quiet">The fitted models under noise, every method under the same. Bands are 95% intervals over seeds.</p>
    <div class="figures small">
      ${robustnessFigures(card).map(({ task, perturbation, metric, areas, points }) =>
        figure(`${task}, ${perturbation}.`, `${areas}.`, [card, task, perturbation], (options) =>
          robustnessCurves(points, { ...options, perturbation, metric }),
        ),
      )}
    </div>`;
}
