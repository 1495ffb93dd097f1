/** Says what stopped the making of an environment, and what to do next. */
import { EspalierError } from "../errors.js";

/** The room that an environment takes, in GiB; on machines with CUDA its libraries make it larger. */
export const neededGiB = 3;

const otherHome = `set ESPALIER_HOME to a folder that can be written and has about ${neededGiB} GiB free`;
const ownPython = "set ESPALIER_PYTHON to a Python that has the packages of python/requirements/runtime.lock";

/** A file system's error as the reason why the environment cannot be made in `folder`; other errors as they are. */
export function storageFailure(error: unknown, folder: string): unknown {
  const reasons: Record<string, string> = {
    ENOSPC: "the disk is full",
    EDQUOT: "the disk quota is used up",
    EACCES: "it cannot be written",
    EPERM: "it cannot be written",
    EROFS: "it is on a read-only file system",
    ENOTDIR: "a part of its path is a file",
    EEXIST: "a part of its path is a file",
  };
  const reason = reasons[(error as NodeJS.ErrnoException | undefined)?.code ?? ""];
  if (reason === undefined) return error;
  return failed(`the Python environment cannot be made in ${folder}: ${reason}`, `${capital(otherHome)}.`, error);
}

/** What the output of a failed `venv` means. */
export function venvFailure(python: string, output: string): EspalierError {
  if (isFullDisk(output)) return fullDisk(output);
  return failed(
    `${python} -m venv failed: ${lastWords(output)}`,
    `Install Python's venv module, or ${ownPython}.`,
    new Error(output),
  );
}

/** What the output of a failed `pip install` means. */
export function pipFailure(output: string): EspalierError {
  const said = lastWords(output);
  if (isFullDisk(output)) return fullDisk(output);
  if (noConnection.test(output)) {
    return failed(
      `the Python packages could not be fetched: ${said}`,
      `Check the network and run the command again; or point pip at a mirror (PIP_INDEX_URL, or pip config set global.index-url); or ${ownPython}.`,
      new Error(output),
    );
  }
  if (/No matching distribution found/i.test(output)) {
    return failed(
      `a Python package is not offered for this machine and Python (${process.platform} ${process.arch}): ${said}`,
      `Put another Python from 3.11 to 3.13 first on the PATH; or, if pip uses a mirror, ask it for the package; or ${ownPython}.`,
      new Error(output),
    );
  }
  return failed(`pip failed: ${said}`, `--verbose shows all that it said; or ${ownPython}.`, new Error(output));
}

/** pip's words where nothing answers. An index that does not answer counts as one that has no version at all. */
const noConnection =
  /NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries exceeded|Connection (refused|reset|aborted)|Name or service not known|name resolution|Network is unreachable|from versions: none/i;

function isFullDisk(output: string): boolean {
  return /No space left on device|Disk quota exceeded|not enough space on the disk/i.test(output);
}

function fullDisk(output: string): EspalierError {
  return failed(
    "the Python environment could not be made: the disk is full",
    `Free about ${neededGiB} GiB, or ${otherHome}; then run the command again.`,
    new Error(output),
  );
}

function failed(message: string, mend: string, cause: unknown): EspalierError {
  return new EspalierError(message, { code: "environment", mend, cause });
}

/** The last error that is spoken of, else the last line. */
function lastWords(output: string): string {
  const lines = output.trim().split("\n");
  const line = lines.findLast((candidate) => /^error: /i.test(candidate)) ?? lines.at(-1) ?? "";
  return line.replace(/^error: /i, "");
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
