/** Numbers of records as numbers, and numbers as labels. */
import type { Real } from "../experiment/records.js";
import { short } from "../report/numbers.js";

/** A recorded number; "NaN" and the infinities are words in JSON, and nothing that is not finite can be drawn. */
export function finite(value: Real | null | undefined): number | undefined {
  const number = value === null || value === undefined ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** "120k" for 120000: ticks are round, so that a decimal zero says nothing. */
export function shortTick(count: number): string {
  return short(count).replace(".0", "");
}

/** "0.62" as ".62": the probabilities of a map's cells. */
export function probability(value: number): string {
  return value.toFixed(2).replace(/^0/, "");
}
