/** Installs exact versions with pip, shows how far it is, and says what a failure means. */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { EspalierError } from "../errors.js";

const pip = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--progress-bar", "off"];

/**
 * Installs the lock files' packages into the environment of `python`, then `standalone` without its dependencies.
 *
 * @throws EspalierError ("environment") with pip's own last words and the next step
 */
export async function installRequirements(
  python: string,
  locks: readonly string[],
  standalone: string | null,
  onProgress: (line: string, done?: number) => void,
): Promise<void> {
  const texts = await Promise.all(locks.map((lock) => readFile(lock, "utf8")));
  const total = texts
    .join("\n")
    .split("\n")
    .filter((line) => line.includes("==")).length;
  let collected = 0;
  await run(
    python,
    locks.flatMap((lock) => ["-r", lock]),
    (line) => {
      // A package from an index is collected, one that lies in a folder is processed.
      const name = /^(?:Collecting |Processing (?:.*\/)?)([A-Za-z][A-Za-z0-9_.]*(?:-[A-Za-z][A-Za-z0-9_.]*)*)/.exec(
        line,
      )?.[1];
      // Downloading is nine tenths of the work; what is left is unpacking.
      if (name !== undefined)
        onProgress(`Python environment: ${name}`, Math.min(0.8, (0.8 * ++collected) / Math.max(1, total)));
      if (line.startsWith("Installing collected packages")) onProgress("Python environment: installing", 0.85);
    },
  );
  if (standalone !== null) {
    onProgress(`Python environment: ${standalone}`, 0.95);
    await run(python, ["--no-deps", standalone], () => {});
  }
}

async function run(python: string, what: readonly string[], onLine: (line: string) => void): Promise<void> {
  const child = execa(python, [...pip, ...what], { reject: false, stdin: "ignore", all: true });
  for await (const line of child.iterable({ from: "all" })) onLine(line);
  const result = await child;
  if (result.exitCode !== 0) throw failure(result.all ?? "", result.shortMessage);
}

function failure(output: string, shortMessage: string | undefined): EspalierError {
  const lines = output.trim().split("\n");
  const said = lines.findLast((line) => line.startsWith("ERROR:")) ?? lines.at(-1) ?? shortMessage ?? "";
  if (/No space left on device/i.test(output)) {
    return new EspalierError("the Python environment could not be made: the disk is full", {
      code: "environment",
      mend: "Free about 3 GB, or set ESPALIER_HOME to a folder on another disk, and run the command again.",
    });
  }
  if (
    /(NewConnectionError|Connection refused|ConnectTimeout|Name or service not known|Temporary failure in name resolution|ProxyError|Network is unreachable|Max retries exceeded|No matching distribution found)/i.test(
      output,
    )
  ) {
    return new EspalierError(`the Python packages could not be fetched: ${said}`, {
      code: "environment",
      mend: "Check the network and run the command again; or point pip at a mirror (PIP_INDEX_URL); or set ESPALIER_PYTHON to an environment that has the packages of python/requirements/runtime.lock.",
    });
  }
  return new EspalierError(`pip failed: ${said}`, {
    code: "environment",
    mend: "Run the command again with --verbose, or set ESPALIER_PYTHON to an environment of yours.",
  });
}
