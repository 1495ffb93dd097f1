/** Checks what a user wrote against the contract and says, for each fault, which field, what was given and what is allowed. */
import { distance } from "fastest-levenshtein";
import { z } from "zod";
import { EspalierError } from "../errors.js";
import { type Experiment, ExperimentSchema } from "./schema/index.js";

/**
 * The experiment with every default filled in.
 *
 * @param given what a program or a JSON file holds
 * @param origin how messages call it, such as the file's name
 * @throws EspalierError ("input") with one line a fault
 */
export function checkExperiment(given: unknown, origin = "experiment"): Experiment {
  const result = ExperimentSchema.safeParse(given);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => describe(issue, given));
  throw new EspalierError(faults.map((fault) => `${origin}: ${fault}`).join("\n"), {
    code: "input",
    mend: faults.length === 1 ? "Mend the field and run again." : "Mend these fields and run again.",
  });
}

/** The entry of `allowed` that is spelt most like `given`, if any is near. */
export function nearest(given: string, allowed: readonly string[]): string | undefined {
  const ranked = allowed
    .map((candidate) => ({ candidate, far: distance(given.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far)[0];
  if (ranked === undefined) return undefined;
  return ranked.far <= Math.max(2, Math.ceil(given.length / 3)) ? ranked.candidate : undefined;
}

type Issue = z.core.$ZodIssue;

function describe(issue: Issue, given: unknown): string[] {
  const field = pathText(issue.path) || "the experiment";
  const value = valueAt(given, issue.path);
  switch (issue.code) {
    case "unrecognized_keys": {
      const allowed = keysAt(ExperimentSchema, issue.path, given);
      return issue.keys.map(
        (key) => `${pathText([...issue.path, key])}: unknown key${allowed.length > 0 ? suggestion(key, allowed) : ""}`,
      );
    }
    case "invalid_value":
      return [`${field}: ${show(value)} is not allowed${suggestion(String(value), issue.values.map(String))}`];
    case "invalid_union": {
      const discriminator = (issue as { discriminator?: string }).discriminator;
      if (discriminator !== undefined) {
        // The issue's path ends in the discriminator itself.
        const allowed = tagsAt(ExperimentSchema, issue.path.slice(0, -1), given, discriminator);
        if (value === undefined) return [`${field}: is missing; allowed: ${allowed.join(", ")}`];
        return [`${field}: ${show(value)} is not allowed${suggestion(String(value), allowed)}`];
      }
      if (value === undefined) return [`${field}: is missing`];
      const near = nearestForm(issue.errors);
      if (near !== undefined) {
        return near.flatMap((inner) => describe({ ...inner, path: [...issue.path, ...inner.path] }, given));
      }
      return [`${field}: ${show(value)} fits none of the allowed forms`];
    }
    case "invalid_type":
      return value === undefined
        ? [`${field}: is missing; it must be ${article(issue.expected)}`]
        : [`${field}: ${show(value)} is not ${article(issue.expected)}`];
    case "too_small":
      return [
        `${field}: ${show(value)} is too small; ${bound(issue.origin, "at least", issue.minimum, issue.inclusive)}`,
      ];
    case "too_big":
      return [
        `${field}: ${show(value)} is too large; ${bound(issue.origin, "at most", issue.maximum, issue.inclusive)}`,
      ];
    default:
      return [`${field}: ${show(value)} ${issue.message}`];
  }
}

/** Of the forms that an object may have, the faults of the one that it is nearest to; undefined where it is no object. */
function nearestForm(forms: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const faults = (form: readonly Issue[]) =>
    form.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? 2 * issue.keys.length : 1), 0);
  const ranked = [...forms].sort((a, b) => faults(a) - faults(b))[0];
  return ranked?.some((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys") ? ranked : undefined;
}

function bound(origin: string, word: string, limit: number | bigint, inclusive: boolean | undefined): string {
  const unit = origin === "array" ? (limit === 1 ? " entry" : " entries") : origin === "string" ? " characters" : "";
  const must = origin === "array" ? "have" : "be";
  if (inclusive === false) return `it must be ${word === "at least" ? "more than" : "less than"} ${limit}${unit}`;
  return `it must ${must} ${word} ${limit}${unit}`;
}

function suggestion(given: string, allowed: readonly string[]): string {
  const near = nearest(given, allowed);
  const list = `allowed: ${allowed.join(", ")}`;
  return near === undefined ? `; ${list}` : `; did you mean ${JSON.stringify(near)}? (${list})`;
}

function article(type: string): string {
  if (type === "int") return "a whole number";
  return `${/^[aeiou]/.test(type) ? "an" : "a"} ${type}`;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, part) => (typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[part] : undefined),
    value,
  );
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The keys an object at `path` may have: the schema is followed along the path, a discriminated union by the value's own tag. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[], given: unknown): string[] {
  const found = schemaAt(schema, path, given);
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function tagsAt(schema: z.ZodType, path: readonly PropertyKey[], given: unknown, discriminator: string): string[] {
  const found = follow(schema, path, given);
  if (!(found instanceof z.ZodDiscriminatedUnion)) return [];
  return found.options.flatMap((option) => {
    const tag = (option as z.ZodObject).shape[discriminator];
    return tag instanceof z.ZodLiteral ? [String(tag.value)] : [];
  });
}

function schemaAt(schema: z.ZodType, path: readonly PropertyKey[], given: unknown): z.ZodType | undefined {
  const found = follow(schema, path, given);
  return found === undefined ? undefined : choose(found, valueAt(given, path));
}

function follow(schema: z.ZodType, path: readonly PropertyKey[], given: unknown): z.ZodType | undefined {
  let at: z.ZodType | undefined = unwrap(schema);
  let value = given;
  for (const part of path) {
    at = at === undefined ? undefined : choose(at, value);
    value = valueAt(value, [part]);
    if (at instanceof z.ZodObject) at = at.shape[String(part)] as z.ZodType | undefined;
    else if (at instanceof z.ZodArray) at = at.element as z.ZodType;
    else return undefined;
    at = at === undefined ? undefined : unwrap(at);
  }
  return at;
}

function choose(schema: z.ZodType, value: unknown): z.ZodType | undefined {
  if (!(schema instanceof z.ZodDiscriminatedUnion)) return schema;
  const key = schema.def.discriminator;
  const tag = valueAt(value, [key]);
  return schema.options.find((option) => (option as z.ZodObject).shape[key]?.safeParse(tag).success) as
    | z.ZodType
    | undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  let at: z.ZodType = schema;
  while (
    at instanceof z.ZodDefault ||
    at instanceof z.ZodPrefault ||
    at instanceof z.ZodNullable ||
    at instanceof z.ZodOptional
  ) {
    at = at.unwrap() as z.ZodType;
  }
  return at;
}
