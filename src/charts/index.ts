/**
 * Figures of runs for dashboards of your own: functions of plain records that return an SVG element. They need a `document` (a
 * browser's, or one of linkedom, happy-dom or jsdom) and nothing of Node.
 *
 *     import { structureMap, chosenCells } from "espalier/charts";
 *     element.append(structureMap(chosenCells(structure), { width: 480 }));
 */
export type { LossCurve } from "../runs/curves.js";
export type { Gates } from "../runs/gates.js";
export { type BudgetSpentOptions, budgetSpent, type Spending, spendingOf } from "./budget-spent.js";
export { comparisonEffects } from "./comparisons.js";
export type { FigureOptions } from "./figure.js";
export { frontier } from "./frontier.js";
export { layerShares } from "./layer-shares.js";
export type { Theme } from "./palette.js";
export { type RobustnessOptions, type RobustnessPoint, robustnessCurves } from "./robustness-curves.js";
export { type RobustnessFigure, robustnessFigures } from "./robustness-figures.js";
export { type ScoreAgainstOptions, scoreAgainst } from "./score-against.js";
export { secondsByStage } from "./seconds-by-stage.js";
export { chosenCells, gateCells, type MapView, type StructureCell } from "./structure-cells.js";
export { type StructureMapOptions, structureMap } from "./structure-map.js";
export { overlaps, type PairOverlap, structureOverlap } from "./structure-overlap.js";
export { type TrainingCurvesOptions, trainingCurves } from "./training-curves.js";
