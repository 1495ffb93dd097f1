/** The built page: read once, sent from memory. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { EspalierError } from "../errors.js";

export interface PageFile {
  type: string;
  content: Buffer<ArrayBuffer>;
}

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** By the path that a browser asks for. The folder is the same from src/ and from dist/. */
export async function readPage(
  folder = path.resolve(import.meta.dirname, "..", "..", "dist", "dashboard", "app"),
): Promise<Map<string, PageFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new EspalierError(`the dashboard's page is not there: ${folder}`, {
      code: "environment",
      mend: "Build it with: npm run build",
      cause,
    });
  });
  const files = new Map<string, PageFile>();
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const type = types[path.extname(file)] ?? "application/octet-stream";
    files.set(`/${path.relative(folder, file).split(path.sep).join("/")}`, { type, content: await readFile(file) });
  }
  files.set("/", files.get("/index.html")!);
  return files;
}
