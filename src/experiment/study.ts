/** Studies: experiments that are made from one. */
import { type ExperimentDefinition, search } from "./define.js";
import type { Perturbation } from "./records.js";
import type { DataPerturbationInput } from "./schema/index.js";

export interface SensitivityOptions {
  /** Weights of the paper's sparsity term; default: 0.1, 0.5, 1, 2, 5. */
  sparsity?: readonly number[];
  /** Shares that are perturbed; default: 0.05, 0.1, 0.15, 0.2. 0 is the experiment itself. */
  ratios?: readonly number[];
}

/** The experiments of a sensitivity study. Nothing has run; each is run by `run`, and those of equal trials share them. */
export interface Sensitivity {
  /** The experiment itself: what noise is measured on, and where every curve over perturbed data begins. */
  clean: ExperimentDefinition;
  /** The paper's method at each weight of its sparsity term, one method a weight. */
  sparsity: ExperimentDefinition;
  /** What `robustness` is to measure on a run of `clean`. */
  noise: { perturbations: readonly Perturbation[]; ratios: readonly number[] };
  /** The experiment on perturbed training rows, one for each perturbation and ratio. */
  data: readonly (Pick<DataPerturbationInput, "data" | "ratio"> & { experiment: ExperimentDefinition })[];
}

export const study = {
  /**
   * The paper's sensitivity experiments (arXiv 2509.03057) on the user's own: weights of the sparsity term, noise, and perturbed
   * training data (flipped labels, fewer rows, swapped words).
   *
   *     const { sparsity, clean, noise } = study.sensitivity(experiment);
   *     await run(sparsity);
   *     const card = await robustness((await run(clean)).run, noise);
   */
  sensitivity(experiment: ExperimentDefinition, options: SensitivityOptions = {}): Sensitivity {
    const { sparsity = [0.1, 0.5, 1, 2, 5], ratios = [0.05, 0.1, 0.15, 0.2] } = options;
    const named = (part: string) => `${experiment.name}-${part}`.slice(0, 64);
    const paper = experiment.methods.find((method) => method.method === "paper") ?? search.paper();
    return {
      clean: experiment,
      sparsity: {
        ...experiment,
        name: named("sparsity"),
        methods: sparsity.map((weight) => ({ ...paper, name: `sparsity-${weight}`, sparsity: weight })),
      },
      noise: { perturbations: ["input", "activation", "path"], ratios },
      data: (["labels", "rows", "words"] as const).flatMap((data) =>
        ratios.map((ratio) => ({
          data,
          ratio,
          experiment: {
            ...experiment,
            name: named(`${data}-${Number((100 * ratio).toPrecision(3))}`),
            training: { ...experiment.training, perturbation: { data, ratio } },
          },
        })),
      ),
    };
  },
};
