/** Fields that several parts of the contract share. */
import { z } from "zod";

export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    "must start with a letter or digit and hold only letters, digits, '.', '_' and '-' (at most 64)",
  );
export const count = z.int().min(1);
export const rate = z.number().positive().max(10);
export const share = z.number().min(0).max(1);

/** What every method has. */
export const methodFields = {
  name: name.optional().describe("how rows and comparisons call it; default: the method's own name"),
  learningRate: rate
    .nullable()
    .default(null)
    .describe("null: training.learningRate; a sweep (tune) is shifted by the ratio of the two"),
};

/** Whether no two entries share a name. */
export function distinctNames(entries: readonly { name: string }[]): boolean {
  return new Set(entries.map((entry) => entry.name)).size === entries.length;
}
