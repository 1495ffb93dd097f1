/** Spaces that a paper describes, to be fitted whole by `baselines.uniform({ kind: "all" })`, or searched. */
import { adapters } from "./adapters.js";
import type { ExperimentInput } from "./schema/index.js";

/** Sizes of MAM; the defaults are the paper's for classification with RoBERTa-base. */
interface MamSizes {
  /** Prefix tokens of every attention. */
  prefix?: number;
  /** Width of the adapter beside every MLP. */
  size?: number;
  /** s of that adapter: 2 for classification, 4 for generation. */
  scale?: number;
}

export const spaces = {
  /**
   * MAM: a prefix at every attention and a scaled parallel adapter beside every MLP; source: arXiv 2110.04366.
   *
   * With its defaults, l = 16 and r = 16, it has 589,824 weights on RoBERTa-base, as in the paper, and the mass of each of
   * the 192 prefix tokens.
   */
  mam: ({ prefix = 16, size = 16, scale = 2 }: MamSizes = {}) =>
    ({
      slots: ["attention", "mlp"],
      kinds: [adapters.prefix({ tokens: [prefix] }), adapters.scaledParallel({ sizes: [size], scale, slots: ["mlp"] })],
    }) satisfies ExperimentInput["space"],
};
