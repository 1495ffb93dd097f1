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

/** A check that no two entries of `list` have the same name; `keys` of an entry may hold it, the first that does counts. */
export function distinctNames<Entry extends object>(list: string, keys: readonly (keyof Entry & string)[]) {
  return (entries: readonly Entry[], context: z.RefinementCtx<Entry[]>): void => {
    const seen = new Map<unknown, number>();
    for (const [index, entry] of entries.entries()) {
      const key = keys.find((candidate) => entry[candidate] !== undefined)!;
      const first = seen.get(entry[key]);
      const message = `is the name of ${list}[${first}], too; give one of them another name`;
      if (first === undefined) seen.set(entry[key], index);
      else context.addIssue({ code: "custom", path: [index, key], message });
    }
  };
}
