/** espalier inspect: a model's sites, their shapes, and what each candidate costs. */
import type { Inspection } from "../experiment/records.js";
import { blockSlots, linearSlots, SpaceSchema } from "../experiment/schema/index.js";
import { percent } from "../report/numbers.js";
import { askAbout } from "./model.js";
import { type CommonOptions, print, printJson } from "./output.js";

export async function inspectCommand(model: string, options: CommonOptions): Promise<number> {
  const inspection = await askAbout(model, options, (launcher, backbone) => launcher.inspect(backbone, wholeSpace));
  if (options.json) printJson(inspection);
  else print(inspectionText(model, inspection));
  return 0;
}

/** Every kind at every slot; a model lacks some, such as the gate. */
const wholeSpace = SpaceSchema.parse({
  slots: [...linearSlots, ...blockSlots],
  kinds: [{ kind: "lora" }, { kind: "bottleneck" }],
});

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
