/** What every way of running a plan offers: in this process, under torchrun, on a cluster. */
import type {
  Event,
  Export,
  Inspection,
  KindList,
  Measured,
  Merge,
  Perturbation,
  Robustness,
  RunComparison,
  RunRecord,
} from "../experiment/records.js";
import type { Experiment, Plan } from "../experiment/schema/index.js";

export interface LaunchOptions {
  onEvent?: (event: Event) => void;
  /** Stops cooperatively: the step in hand is finished, what is written stays. */
  signal?: AbortSignal;
}

export interface KindsLaunch extends LaunchOptions {
  /** Whether a training step with each is timed. */
  times?: boolean;
}

export interface RunLaunch extends LaunchOptions {
  /** Finished trials of the runs in this folder that are the same are taken over. */
  share?: string;
}

export interface ExportRequest {
  to: Export["to"];
  /** One task; null: all. */
  task: string | null;
  /** One trial; null: the answer's. */
  trial: string | null;
  /** A folder that takes the adapters; null: the run's own. */
  destination: string | null;
}

export interface MergeRequest {
  /** The runs' directories; a null trial is the answer's. */
  runs: { directory: string; trial: string | null }[];
  method: Merge["method"];
  /** What each update is multiplied by; null: 1 for TIES, 1 / tasks for the others. */
  weight: number | null;
  density: number;
  /** The most that a linear may have; null: what the tasks have together. */
  rank: number | null;
  /** None: all. */
  tasks: string[];
  /** A folder that takes the merge; null: the first run's exports. */
  destination: string | null;
}

export interface CompareRequest {
  /** A run, a method of it, and what to call the two. */
  a: { directory: string; method: string; name: string };
  b: { directory: string; method: string; name: string };
  /** The tasks to compare on, each with its metric. */
  metrics: Record<string, string>;
}

export interface RobustnessRequest {
  perturbations: readonly Perturbation[];
  /** Above 0 and up to 1. */
  ratios: readonly number[];
  /** Evaluation rows a task at most; null: all. */
  rows: number | null;
}

export interface RobustnessLaunch {
  onMeasured?: (measured: Measured) => void;
  signal?: AbortSignal;
}

export interface Launcher extends AsyncDisposable {
  /** Runs every trial of the plan into the run directory, which holds plan.json already. */
  run(plan: Plan, directory: string, options?: RunLaunch): Promise<RunRecord>;
  /** A model's sites and the candidates that a space puts there. */
  inspect(backbone: Plan["backbone"], space: Experiment["space"], options?: LaunchOptions): Promise<Inspection>;
  /** What each of `kinds` is and costs on a model. */
  kinds(backbone: Plan["backbone"], kinds: Experiment["space"]["kinds"], options?: KindsLaunch): Promise<KindList>;
  /** Perturbs the fitted models of a run, and writes its robustness card. */
  robustness(directory: string, request: RobustnessRequest, options?: RobustnessLaunch): Promise<Robustness>;
  /** Exports the answer of a finished run. */
  export(directory: string, request: ExportRequest, options?: LaunchOptions): Promise<Export[]>;
  /** Compares methods of two runs by what their trials predicted. */
  compare(request: CompareRequest, options?: LaunchOptions): Promise<RunComparison>;
  /** Merges the LoRA adapters of several tasks into one. */
  merge(request: MergeRequest, options?: LaunchOptions): Promise<Merge>;
}
