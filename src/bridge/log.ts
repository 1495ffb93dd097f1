/** The file that takes what Python prints. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** The last lines of a log file, without the empty ones; "" if there is no such file. */
export function lastLines(file: string, { lines = 20, bytes = 16_384 } = {}): string {
  return readTail(file, bytes)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-lines)
    .join("\n");
}

function readTail(file: string, bytes: number): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const read = readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8", 0, read);
  } finally {
    closeSync(descriptor);
  }
}
