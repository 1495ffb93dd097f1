/** What the heads read of each layer, where they mix layers. */
import { html } from "hono/html";
import { layerShares } from "../../charts/index.js";
import { layerSharesOf } from "../../runs/layer-shares.js";
import type { WholeRun } from "../../runs/whole.js";
import { figure, type Html } from "./figure.js";

export function headsSection({ plan, results }: WholeRun): Html {
  const drawn = plan.methods.flatMap(({ name }) => {
    const trial = plan.trials.find(({ id, method }) => method === name && results[id] !== undefined);
    const shares = trial === undefined ? undefined : layerSharesOf(results[trial.id]!);
    return trial === undefined || shares === undefined ? [] : [{ trial, shares }];
  });
  if (drawn.length === 0) return html``;
  return html`<section><h2>What the heads read</h2>
<p>Each task's head reads a learned mix of all layers. A number is the share of a layer in percent.</p>
<div class="figures">
${drawn.map(({ trial, shares }) => figure(`${trial.method}, seed ${trial.seed}.`, "", (options) => layerShares(shares, options)))}
</div></section>`;
}
