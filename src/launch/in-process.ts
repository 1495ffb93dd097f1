/** Runs plans in the Python of this process. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { Interrupted } from "../bridge/errors.js";
import { Runtime } from "../bridge/runtime.js";
import {
  type Event,
  EventSchema,
  ExportSchema,
  InspectionSchema,
  KindListSchema,
  type Measured,
  MeasuredSchema,
  MergeSchema,
  RobustnessSchema,
  RunComparisonSchema,
  RunRecordSchema,
} from "../experiment/records.js";
import type { Plan } from "../experiment/schema/index.js";
import { additionsFor, addPackages, type Uses } from "../provision/additions.js";
import type { EnsureOptions } from "../provision/ensure.js";
import { ensurePython } from "../provision/ensure.js";
import { espalierHome } from "../provision/home.js";
import { files } from "../runs/layout.js";
import type {
  CompareRequest,
  ExportRequest,
  KindsLaunch,
  Launcher,
  LaunchOptions,
  MergeRequest,
  RobustnessLaunch,
  RobustnessRequest,
  RunLaunch,
} from "./launcher.js";

export interface InProcessOptions {
  /** Told what a first set-up of Python does. */
  onProgress?: EnsureOptions["onProgress"];
  /** Told what works but should be known, such as a missing embedded model. */
  onWarning?: (message: string) => void;
  /** The run whose python.log takes what Python prints; default: a temporary file. */
  directory?: string;
  /** What will be run: packages that only it needs are installed where they are missing. */
  uses?: Uses;
  /** Stops the set-up where a step of it ends. */
  signal?: AbortSignal;
}

/** A launcher on the provisioned Python, or the one that ESPALIER_PYTHON names. */
export async function launchInProcess(options: InProcessOptions = {}): Promise<Launcher> {
  const { onProgress, onWarning, directory, uses, signal } = options;
  const told = onProgress === undefined ? {} : { onProgress };
  const setUp = async () => {
    const environment = await ensurePython(told);
    if (uses !== undefined) await addPackages(environment, additionsFor(uses), told);
    return environment;
  };
  const environment = await setUp().catch((error: unknown) => {
    // Ctrl-C in a terminal reaches pip as well, whose failure is then no fault of the environment.
    throw signal?.aborted ? new Interrupted("The set-up was interrupted.", { cause: error }) : error;
  });
  if (signal?.aborted) throw new Interrupted("The set-up was interrupted.");
  for (const warning of environment.warnings) onWarning?.(warning);
  const runtime = await Runtime.start({
    python: environment.python,
    env: { TOKENIZERS_PARALLELISM: "false", PYTHONWARNINGS: "ignore", ESPALIER_HOME: espalierHome() },
    ...(directory === undefined ? {} : { log: path.join(directory, files.log) }),
  });
  return new InProcess(runtime);
}

class InProcess implements Launcher {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async run(plan: Plan, directory: string, { onEvent, signal, share }: RunLaunch = {}) {
    const payload = { plan, directory, host: await hostVersions(), share: share ?? null };
    return this.#runtime.job("espalier_runtime.runner:run_plan", payload, {
      event: EventSchema,
      result: RunRecordSchema,
      onEvent: (event: Event) => onEvent?.(event),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  inspect(backbone: Plan["backbone"], space: Plan["space"], { signal }: LaunchOptions = {}) {
    return this.#runtime.job(
      "espalier_runtime.runner:inspect",
      { backbone, space },
      { result: InspectionSchema, ...(signal === undefined ? {} : { signal }) },
    );
  }

  kinds(backbone: Plan["backbone"], kinds: Plan["space"]["kinds"], { times = false, signal }: KindsLaunch = {}) {
    return this.#runtime.job(
      "espalier_runtime.runner:list_kinds",
      { backbone, kinds, times },
      { result: KindListSchema, ...(signal === undefined ? {} : { signal }) },
    );
  }

  robustness(directory: string, request: RobustnessRequest, { onMeasured, signal }: RobustnessLaunch = {}) {
    return this.#runtime.job(
      "espalier_runtime.runner:measure_robustness",
      { directory, ...request },
      {
        event: MeasuredSchema,
        result: RobustnessSchema,
        onEvent: (measured: Measured) => onMeasured?.(measured),
        ...(signal === undefined ? {} : { signal }),
      },
    );
  }

  async export(directory: string, request: ExportRequest, { signal }: LaunchOptions = {}) {
    const { exports } = await this.#runtime.job(
      "espalier_runtime.runner:export_run",
      { directory, ...request },
      { result: z.strictObject({ exports: z.array(ExportSchema) }), ...(signal === undefined ? {} : { signal }) },
    );
    return exports;
  }

  compare(request: CompareRequest, { signal }: LaunchOptions = {}) {
    return this.#runtime.job(
      "espalier_runtime.runner:compare_runs",
      { ...request },
      { result: RunComparisonSchema, ...(signal === undefined ? {} : { signal }) },
    );
  }

  merge(request: MergeRequest, { signal }: LaunchOptions = {}) {
    return this.#runtime.job(
      "espalier_runtime.runner:merge",
      { ...request },
      { result: MergeSchema, ...(signal === undefined ? {} : { signal }) },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime.close();
  }
}

async function hostVersions(): Promise<Record<string, string>> {
  const manifest = path.resolve(import.meta.dirname, "..", "..", "package.json");
  const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
  return { espalier: version, node: process.version, platform: `${process.platform}-${process.arch}` };
}
