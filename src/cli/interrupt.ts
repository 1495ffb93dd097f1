/** Ctrl-C: once stops after the step in hand, twice stops now. */
import type { Progress } from "./progress.js";

/** A signal that Ctrl-C and SIGTERM raise; `dispose` gives the keys back. */
export function onInterrupt(progress: Progress): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(130);
    progress.note(
      `${name === "SIGINT" ? "Ctrl-C" : name}: stopping after this step, with a checkpoint; once more stops now`,
    );
    controller.abort();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  return {
    signal: controller.signal,
    dispose: () => process.off("SIGINT", stop).off("SIGTERM", stop),
  };
}
