/** Numbers as people read them. */
import type { Real } from "../experiment/records.js";

/** A recorded number, in which NaN and the infinities are words. */
export function toNumber(value: Real): number {
  return Number(value);
}

/** "91.2" for 0.912: scores are shown in points. */
export function points(value: Real): string {
  const number = toNumber(value);
  return Number.isFinite(number) ? (100 * number).toFixed(1) : String(number);
}

/** "+1.4" or "-0.3": a difference of two scores, in points. */
export function signedPoints(difference: number, digits = 1): string {
  const text = (100 * Math.abs(difference)).toFixed(digits);
  return `${Number(text) === 0 ? "" : difference < 0 ? "\u2212" : "+"}${text}`;
}

/** "22.3k" for 22272, "1.4M" for 1400000. */
export function short(count: number): string {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)}M`;
  if (count >= 1e3) return `${(count / 1e3).toFixed(1)}k`;
  return String(Math.round(count));
}

/** "0.098%" for 0.00098. */
export function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}

/** "43 s", "2 min 5 s", "1 h 3 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
