/** Events: what a job says while it works, numbered in the order in which it said it. */
import { z } from "zod";
import { EspalierError } from "../errors.js";

/** Any event: an object with its number `seq`, counted from 1 within its job. */
export const NumberedSchema = z.looseObject({ seq: z.int().min(1) });
export type Numbered = z.output<typeof NumberedSchema>;

/** A number that may be not finite. JSON has no form for NaN and the infinities: they cross as strings, and are revived here. */
export function real() {
  return z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);
}

/** The events of one job, received in batches; hands each on once, checked against `schema`. */
export class EventStream<Event> {
  readonly #schema: z.ZodType<Event>;
  readonly #onEvent: (event: Event) => void;
  #last: Event | undefined;
  #seq = 0;

  constructor(schema: z.ZodType<Event>, onEvent: (event: Event) => void) {
    this.#schema = schema;
    this.#onEvent = onEvent;
  }

  /** The number of the last event received; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** The last event received. */
  get last(): Event | undefined {
    return this.#last;
  }

  /**
   * @throws EspalierError ("run") if an event is missing, comes twice, or is not of the schema's form
   */
  receive(batch: readonly Numbered[]): void {
    for (const each of batch) {
      if (each.seq !== this.#seq + 1) {
        throw new EspalierError(`Event ${each.seq} came from Python after event ${this.#seq}.`, { code: "run" });
      }
      this.#seq = each.seq;
      this.#last = this.#read(each);
      this.#onEvent(this.#last);
    }
  }

  #read(numbered: Numbered): Event {
    const { success, data, error } = this.#schema.safeParse(numbered);
    if (success) return data;
    throw new EspalierError(`Event ${numbered.seq} from Python has an unknown form: ${z.prettifyError(error)}`, {
      code: "run",
      mend: "The Python half and the TypeScript half must be of one version: run espalier setup.",
      cause: error,
    });
  }
}
