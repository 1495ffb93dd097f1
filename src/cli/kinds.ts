/** espalier kinds: every adapter kind, its equation and source, what it costs on a model, and where it can be taken. */
import type { KindList } from "../experiment/records.js";
import { KindSchema, kindNames } from "../experiment/schema/index.js";
import { percent, short } from "../report/numbers.js";
import { wrap } from "./inspect.js";
import { askAbout } from "./model.js";
import { type CommonOptions, print, printJson } from "./output.js";

export interface KindsOptions extends CommonOptions {
  /** Whether steps are timed. */
  times?: boolean;
}

export async function kindsCommand(model: string, options: KindsOptions): Promise<number> {
  const defaults = kindNames.map((kind) => KindSchema.parse({ kind }));
  const list = await askAbout(model, options, (launcher, backbone) =>
    launcher.kinds(backbone, defaults, { times: options.times ?? false }),
  );
  if (options.json) printJson(list.kinds);
  else print(kindsText(model, list));
  return 0;
}

/** Two or three lines a kind, at most 100 columns wide. */
export function kindsText(model: string, { parameters, kinds }: KindList): string {
  const entries = kinds.map((entry) => {
    const { sizes, slots, total, timesLora } = entry;
    const places = Object.entries(slots).map(([slot, count]) => `${slot} ${short(count)}`);
    const taken = [
      entry.mergeable ? "merges into the weights" : "cannot be merged",
      entry.peft === null ? "no PEFT form" : `PEFT ${entry.peft}`,
    ];
    const cost =
      places.length === 0
        ? ["      has no place in this model"]
        : [
            wrap([`size ${sizes[0]}: ${places[0]}`, ...places.slice(1)], 90, "      "),
            `      size ${sizes.at(-1)} everywhere: ${short(total)} parameters, ${percent(total / parameters)} of the model${
              timesLora === null ? "" : `; a step takes ${timesLora.toFixed(2)} of LoRA's`
            }`,
          ];
    return [`  ${entry.kind.padEnd(18)} ${entry.equation}`, `      ${entry.source}; ${taken.join(", ")}`, ...cost].join(
      "\n",
    );
  });
  return [`adapter kinds, and their parameters in one layer of ${model}`, ...entries].join("\n");
}
