/** Commands about one model: which model a word means, and Python's answer to a question about it. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";
import { type BackboneInput, BackboneSchema, type Plan } from "../experiment/schema/index.js";
import { launchInProcess } from "../launch/in-process.js";
import type { Launcher } from "../launch/launcher.js";
import type { CommonOptions } from "./output.js";
import { progressFor } from "./progress.js";

/** What `ask` answers about `model`; setting Python up is shown as it goes. */
export async function askAbout<Answer>(
  model: string,
  options: CommonOptions,
  ask: (launcher: Launcher, backbone: Plan["backbone"]) => Promise<Answer>,
): Promise<Answer> {
  const backbone = BackboneSchema.parse(await backboneOf(model));
  const progress = progressFor(options);
  await using launcher = await launchInProcess({
    uses: { backbone },
    onProgress: (line, done) => progress.setUp(line, done),
    onWarning: (message) => progress.note(`note: ${message}`),
  }).finally(() => progress.end());
  return await ask(launcher, backbone);
}

/** "minilm" and "smollm2" are the embedded models, an existing folder or a path is a folder, anything else a name on the Hub. */
async function backboneOf(model: string): Promise<BackboneInput> {
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
