/** Rows of tasks that lie in folders. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { EspalierError, task } from "../../src/index.js";

export type FilesTask = ReturnType<typeof task.files>;

/** What `folderTask` takes beside the task's name. */
export interface Folders {
  /** Holds a folder a task with train.jsonl and validation.jsonl or test.jsonl. */
  data: string;
  /** How many rows are evaluated at most, evenly spaced; undefined: all. */
  evaluated?: number | undefined;
  /** Takes the copies of those rows. */
  copies: string;
}

/**
 * The task of this name in `data`: the test split is evaluated where there is one, else validation; neither is trained on or
 * chosen by.
 *
 * @throws EspalierError ("input") where there is no such folder
 */
export function folderTask(name: string, { data, evaluated, copies }: Folders): FilesTask {
  const file = (split: string) => path.resolve(data, name, `${split}.jsonl`);
  if (!existsSync(file("train"))) {
    throw new EspalierError(`--data: there is no ${file("train")}`, {
      code: "input",
      mend: "Give a folder that holds a folder a task.",
    });
  }
  const split = existsSync(file("test")) ? "test" : "validation";
  const rows = evaluated === undefined ? file(split) : someRows(file(split), evaluated, path.join(copies, name));
  return task.files(name, { train: file("train"), [split]: rows });
}

/** A copy under `folder` of `count` of the file's rows, evenly spaced. */
function someRows(file: string, count: number, folder: string): string {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const every = Math.max(1, lines.length / count);
  const kept = lines.filter((_, index) => Math.floor(index / every) !== Math.floor((index - 1) / every));
  mkdirSync(folder, { recursive: true });
  const copy = path.join(folder, path.basename(file));
  const text = `${kept.join("\n")}\n`;
  // A file that is written again is a changed one to the runs that used it.
  if (!existsSync(copy) || readFileSync(copy, "utf8") !== text) writeFileSync(copy, text);
  return copy;
}
