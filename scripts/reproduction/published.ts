/**
 * What the paper, arXiv 2509.03057, is known to report. Its tables were not at hand: the numbers are those of public summaries of
 * it, which name no backbone, seeds or rates. Where a number is not known it is left out, never filled in.
 */

/** Accuracy x 100, and trainable parameters as a share of the backbone in percent. */
export interface PublishedRow {
  parameters: number;
  mnli?: number;
  boolq?: number;
}

export const mainTable: Record<string, PublishedRow> = {
  full: { parameters: 100, mnli: 87.2, boolq: 89.5 },
  lora: { parameters: 0.85, mnli: 86.5 },
  prefix: { parameters: 0.5, mnli: 85.9 },
  adapterFusion: { parameters: 2.0, mnli: 86.8 },
  structureLearnable: { parameters: 1.4, mnli: 87.4, boolq: 89.6 },
};

export const sparsityFigure =
  "published: the weight 1.0 is best, and 5.0 is too large; the figure's values are not known";
export const noiseFigure =
  "published: below 10 % noise almost no change, and at 15 % MNLI stays above 86; the noise is not defined";
export const perturbationFigure =
  "published: a figure over perturbed data, of which neither values nor definition are known";

/** What keeps any number here from being compared with a published one. */
export const notComparable = [
  "the paper's backbone is not known to us: its MNLI column is of RoBERTa-base's class, its BoolQ column far above it",
  "the paper's splits, seeds, rates and training time are not known to us",
  "published numbers are taken from public summaries of the paper, not from its tables",
];
