/** Builders of adapter kinds, each the same object that an experiment.json would hold. `espalier kinds` lists them. */
import type { KindInput, KindName } from "./schema/index.js";

type Options<Name extends KindName> = Omit<Extract<KindInput, { kind: Name }>, "kind">;

export const adapters = {
  /** h + s B A x at a linear; source: arXiv 2106.09685. */
  lora: (options: Options<"lora"> = {}) => ({ kind: "lora", ...options }) satisfies KindInput,
  /** h + s W_up f(W_down h) after a sub-block, before its residual; source: Houlsby et al., arXiv 1902.00751. */
  bottleneck: (options: Options<"bottleneck"> = {}) => ({ kind: "bottleneck", ...options }) satisfies KindInput,
  /** h + W_up f(W_down x) beside the attention or the MLP, with x its input; source: arXiv 2110.04366. */
  parallel: (options: Options<"parallel"> = {}) => ({ kind: "parallel", ...options }) satisfies KindInput,
  /** `parallel` times a fixed scale s; source: arXiv 2110.04366. */
  scaledParallel: (options: Options<"scaledParallel"> = {}) =>
    ({ kind: "scaledParallel", ...options }) satisfies KindInput,
  /** One small adapter a head, at `attention.output`: a_i + s W_up,i f(W_down,i x_i); source: arXiv 2110.04366. */
  multiHeadParallel: (options: Options<"multiHeadParallel"> = {}) =>
    ({ kind: "multiHeadParallel", ...options }) satisfies KindInput,
  /** OP(x) + s U(x) with OP the attention, the MLP or the whole block; source: arXiv 2303.00690. */
  uTuning: (options: Options<"uTuning"> = {}) => ({ kind: "uTuning", ...options }) satisfies KindInput,
  /** h + s W_up u with u a sparse code of x by K soft-thresholding steps; an idea of arXiv 2506.11823. */
  unfolded: (options: Options<"unfolded"> = {}) => ({ kind: "unfolded", ...options }) satisfies KindInput,
  /** h + b at a linear; source: arXiv 2106.10199. */
  bitfit: (options: Options<"bitfit"> = {}) => ({ kind: "bitfit", ...options }) satisfies KindInput,
  /** (1 + l) . h at keys and values, (1 + l) . x into `mlp.down`; source: arXiv 2205.05638. */
  ia3: (options: Options<"ia3"> = {}) => ({ kind: "ia3", ...options }) satisfies KindInput,
  /** (1 + u) . h + b after a norm (`attention.norm`, `mlp.norm`); source: arXiv 2106.10199, the norms alone. */
  normTuning: (options: Options<"normTuning"> = {}) => ({ kind: "normTuning", ...options }) satisfies KindInput,
  /** A low-rank update a head at query, value and output, beside a shared one; source: arXiv 2205.03720. */
  kernelMix: (options: Options<"kernelMix"> = {}) => ({ kind: "kernelMix", ...options }) satisfies KindInput,
  /** (1 + s) . q_i and (1 + s) . k_i, one s for all heads i; source: arXiv 2205.03720. */
  kernelScale: (options: Options<"kernelScale"> = {}) => ({ kind: "kernelScale", ...options }) satisfies KindInput,
  /** h + s U (g(x) . (V x)), an input-dependent diagonal; source: arXiv 2207.03509. */
  tarp: (options: Options<"tarp"> = {}) => ({ kind: "tarp", ...options }) satisfies KindInput,
  /** W ((x - beta) / gamma) by groups of dimensions, folds into the linear; source: arXiv 2512.04296. */
  grasp: (options: Options<"grasp"> = {}) => ({ kind: "grasp", ...options }) satisfies KindInput,
  /** `grasp` with a Gaussian gamma whose sigma is drawn to a target noise; source: arXiv 2512.04296. */
  stochGrasp: (options: Options<"stochGrasp"> = {}) => ({ kind: "stochGrasp", ...options }) satisfies KindInput,
  /** h + s (B A - B_t A_t) x: a path all tasks share, less one of the task's own; source: arXiv 2506.24063. */
  dualLora: (options: Options<"dualLora"> = {}) => ({ kind: "dualLora", ...options }) satisfies KindInput,
  /** A LoRA that a small hyper-network makes from the task's learned embedding; source: arXiv 2506.24063. */
  generated: (options: Options<"generated"> = {}) => ({ kind: "generated", ...options }) satisfies KindInput,
  /** m MLP(x) + s W_up f(W_down x): tokens skip the MLP where a dispatcher closes them; source: arXiv 2403.11808. */
  tokenGate: (options: Options<"tokenGate"> = {}) => ({ kind: "tokenGate", ...options }) satisfies KindInput,
  /** Learned keys and values beside those of the tokens, at `attention`; source: arXiv 2101.00190. */
  prefix: (options: Options<"prefix"> = {}) => ({ kind: "prefix", ...options }) satisfies KindInput,
  /** Prompts of the task's own in each layer, whose keys and values the tokens attend to; source: arXiv 2307.15362. */
  taskPrompt: (options: Options<"taskPrompt"> = {}) => ({ kind: "taskPrompt", ...options }) satisfies KindInput,
};
