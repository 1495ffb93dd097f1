/** What heads read of each layer, for the terminal: a line of bars a task. */
import { layerName } from "../runs/layer-shares.js";

const bars = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588";

/** A full bar is the largest share of the task; every line names it. */
export function layerShareLines(shares: Readonly<Record<string, readonly number[]>>): string {
  const width = Math.max(...Object.keys(shares).map((task) => task.length));
  const lines = Object.entries(shares).map(([task, values]) => {
    const most = Math.max(...values);
    const drawn = values.map((share) => bars[Math.round((share / most) * (bars.length - 1))]).join("");
    const where = layerName(values.indexOf(most));
    return `${task.padEnd(width)}  ${drawn}  most of ${where === "emb" ? "the embeddings" : `layer ${where}`}, ${(100 * most).toFixed(0)}%`;
  });
  return ["what the heads read: embeddings, then each layer from the lowest up", ...lines].join("\n");
}
