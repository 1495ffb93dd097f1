/** One process at a time at an environment: the others wait for it. */
import { setTimeout as sleep } from "node:timers/promises";
import lockfile from "proper-lockfile";
import { EspalierError } from "../errors.js";

/** A process that gave no sign of life for so long is taken for dead, and its lock is taken over. */
const staleAfterMs = 30_000;
const signOfLifeMs = 5_000;
const askAgainMs = 500;

export interface HeldLock {
  /** @throws EspalierError ("environment") where another process has taken the lock over, such as after the machine slept */
  assertHeld(): void;
  release(): Promise<void>;
}

/** Takes the lock of `folder`, whose parent exists; `onWait` is called once if another process holds it. */
export async function lockFolder(folder: string, onWait: () => void): Promise<HeldLock> {
  let lost: Error | undefined;
  const options = {
    realpath: false,
    stale: staleAfterMs,
    update: signOfLifeMs,
    onCompromised: (error: Error) => {
      lost = error;
    },
  };
  for (let waits = 0; ; waits++) {
    try {
      const release = await lockfile.lock(folder, options);
      return {
        assertHeld: () => {
          if (lost !== undefined) throw takenOver(folder, lost);
        },
        release: async () => {
          if (lost === undefined) await release();
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
      if (waits === 0) onWait();
      await sleep(askAgainMs);
    }
  }
}

function takenOver(folder: string, cause: Error): EspalierError {
  return new EspalierError(`another process took over the making of ${folder}, since this one stood still too long`, {
    code: "environment",
    mend: "Run the command again: it waits for the other process and uses what that has made.",
    cause,
  });
}
