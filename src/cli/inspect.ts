/** espalier inspect: a model's sites, their shapes, and what each candidate costs. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import type { Inspection } from "../experiment/records.js";
import {
  type BackboneInput,
  BackboneSchema,
  blockSlots,
  linearSlots,
  SpaceSchema,
} from "../experiment/schema/index.js";
import { launchInProcess } from "../launch/in-process.js";
import { percent } from "../report/numbers.js";
import { type CommonOptions, print, printJson } from "./output.js";
import { progressFor } from "./progress.js";

export async function inspectCommand(model: string, options: CommonOptions): Promise<number> {
  const backbone = BackboneSchema.parse(await backboneOf(model));
  const progress = progressFor(options);
  await using launcher = await launchInProcess({
    uses: { backbone },
    onProgress: (line, done) => progress.setUp(line, done),
    onWarning: (message) => progress.note(`note: ${message}`),
  }).finally(() => progress.end());
  const inspection = await launcher.inspect(backbone, wholeSpace);
  if (options.json) printJson(inspection);
  else print(inspectionText(model, inspection));
  return 0;
}

/** Every kind at every slot; a model lacks some, such as the gate. */
const wholeSpace = SpaceSchema.parse({
  slots: [...linearSlots, ...blockSlots],
  kinds: [{ kind: "lora" }, { kind: "bottleneck" }],
});

/** "minilm" and "smollm2" are the embedded models, an existing folder or a path is a folder, anything else a name on the Hub. */
export async function backboneOf(model: string): Promise<BackboneInput> {
  if (model === "") {
    throw new EspalierError("the model's name is empty", {
      code: "input",
      mend: "Give minilm, smollm2, a folder, or a name on the Hub.",
    });
  }
  if (model === "minilm" || model === "smollm2") return { source: "embedded", name: model };
  const isFolder = await stat(model).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (isFolder || /^[./~]/.test(model)) return { source: "folder", path: path.resolve(model) };
  return { source: "hub", id: model };
}

/** One layer stands for those of equal shape: all layers of these families are alike. */
export function inspectionText(model: string, inspection: Inspection): string {
  const offered = inspection.sites.filter((site) => site.candidates.length > 0);
  const first = offered.filter((site) => site.layer === 0);
  const lines = first.map((site) => {
    const costs = site.candidates.map(
      ({ kind, start, size, parameters }) =>
        `${kind} ${start + 1}${size > 1 ? `-${start + size}` : ""}: ${parameters.toLocaleString("en")}`,
    );
    const slot = site.site.replace("layers.0.", "");
    return `  ${slot.padEnd(17)} ${`${site.in} x ${site.out}`.padStart(11)}  ${site.module.replace(".0", ".N")}\n${wrap(costs, 74, "      ")}`;
  });
  return [
    `${model}: ${inspection.family}, ${inspection.layers} layers x ${inspection.hidden}, ${inspection.parameters.toLocaleString("en")} parameters`,
    `sites: ${offered.length}, the same ${first.length} in every layer N; under each, its candidates: units and parameters`,
    ...lines,
    `whole space: ${inspection.total.toLocaleString("en")} parameters, ${percent(inspection.total / inspection.parameters)} of the backbone`,
  ].join("\n");
}

/** `items` with commas between, in lines of at most `width` columns and the indent. */
export function wrap(items: readonly string[], width: number, indent: string): string {
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + item.length + 2 <= width) lines[lines.length - 1] = `${last}, ${item}`;
    else lines.push(item);
  }
  return lines.map((line) => `${indent}${line}`).join("\n");
}
