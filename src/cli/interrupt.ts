/** Ctrl-C: once stops after the step in hand, twice stops now. */
import { say } from "./output.js";

/** A signal that Ctrl-C and SIGTERM raise; `dispose` gives the keys back. */
export function onInterrupt({ json = false }: { json?: boolean } = {}): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(130);
    if (!json) say(`\n${name === "SIGINT" ? "Ctrl-C" : name}: stopping after this step; once more stops now`);
    controller.abort();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  return {
    signal: controller.signal,
    dispose: () => process.off("SIGINT", stop).off("SIGTERM", stop),
  };
}
