/** What the heads of a trial read of each layer. */
import type { TrialResult } from "../experiment/records.js";

/** By task: each layer's share, the embeddings first; undefined where the heads read the last layer alone. */
export function layerSharesOf(result: TrialResult): Record<string, number[]> | undefined {
  const entries = Object.entries(result.tasks).flatMap(([task, { layerShares }]) =>
    layerShares === null ? [] : [[task, layerShares] as const],
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** How a layer is called: "emb" for the embeddings, then its number. */
export function layerName(index: number): string {
  return index === 0 ? "emb" : String(index - 1);
}
