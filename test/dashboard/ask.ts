import { type IncomingMessage, request } from "node:http";

export interface Asked {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

/** A request as it is written, which fetch would tidy up: paths with "..", foreign Host headers. */
export function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Asked> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, ...options }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () =>
        resolve({ status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** The messages of a stream of server-sent events, until `count` of the kind `name` have come. */
export async function messages<Data>(url: string, path: string, name: string, count: number): Promise<Data[]> {
  const stop = new AbortController();
  const answer = await fetch(new URL(path, url), { signal: stop.signal });
  const found: Data[] = [];
  let text = "";
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      if (!lines.includes(`event: ${name}`)) continue;
      const data = lines
        .find((line) => line.startsWith("data:"))!
        .slice(5)
        .trim();
      found.push(data === "" ? (undefined as Data) : (JSON.parse(data) as Data));
      if (found.length === count) {
        stop.abort();
        return found;
      }
    }
  }
  throw new Error(`the stream ended after ${found.length} messages`);
}
