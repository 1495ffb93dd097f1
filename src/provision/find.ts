/** Finds a Python that an environment can be made from. */
import { execa } from "execa";
import { EspalierError } from "../errors.js";

/** The first and the last minor version of Python 3 that Espalier runs on. */
export const supportedVersions = { first: 11, last: 13 } as const;

/** First the one that the user means by "python3", then others in the order of how widely PyTorch supports them. */
const commands = ["python3", "python3.12", "python3.11", "python3.13", "python"];

export interface PythonFound {
  command: string;
  /** Such as "3.11.7". */
  version: string;
  supported: boolean;
  /** Whether `venv` and `ensurepip` are there; Debian ships them apart. */
  venv: boolean;
}

/** Every Python on the PATH of `env` that starts, in the order of preference. */
export async function pythonCandidates(env: NodeJS.ProcessEnv = process.env): Promise<PythonFound[]> {
  const found = await Promise.all(commands.map((command) => probe(command, env)));
  return found.filter((candidate) => candidate !== undefined);
}

/**
 * The Python to make an environment from.
 *
 * @throws EspalierError ("environment") naming what was found and what to install
 */
export async function findPython(env: NodeJS.ProcessEnv = process.env): Promise<PythonFound> {
  const candidates = await pythonCandidates(env);
  const usable = candidates.find((candidate) => candidate.supported && candidate.venv);
  if (usable !== undefined) return usable;
  const bare = candidates.find((candidate) => candidate.supported);
  if (bare !== undefined) {
    throw new EspalierError(
      `${bare.command} (Python ${bare.version}) cannot make environments: its venv module is missing`,
      {
        code: "environment",
        mend: `Install it, on Debian and Ubuntu with: apt-get install python${bare.version.split(".", 2).join(".")}-venv`,
      },
    );
  }
  const seen = candidates.map((candidate) => `${candidate.command} ${candidate.version}`).join(", ") || "none";
  throw new EspalierError(
    `no Python 3.${supportedVersions.first} to 3.${supportedVersions.last} was found on the PATH (found: ${seen})`,
    {
      code: "environment",
      mend: "Install one of them with its venv module, or set ESPALIER_PYTHON to one that you have.",
    },
  );
}

/** Whether "3.x.y" is a version that Espalier runs on. */
export function isSupported(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major === 3 && minor !== undefined && minor >= supportedVersions.first && minor <= supportedVersions.last;
}

async function probe(command: string, env: NodeJS.ProcessEnv): Promise<PythonFound | undefined> {
  const script = [
    "import importlib.util as u, platform",
    "print(platform.python_version(), all(u.find_spec(m) for m in ('venv', 'ensurepip')))",
  ].join("\n");
  const result = await execa(command, ["-I", "-c", script], {
    reject: false,
    timeout: 20_000,
    stdin: "ignore",
    extendEnv: false,
    env,
  });
  const [version, venv] = result.exitCode === 0 ? result.stdout.trim().split(" ") : [];
  if (version === undefined) return undefined;
  return { command, version, supported: isSupported(version), venv: venv === "True" };
}
