/** The dashboard's server: a page on this machine's own address that reads run directories. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { EspalierError } from "../errors.js";
import { Control, type Resume } from "./control.js";
import { readPage } from "./page-files.js";
import { routes } from "./routes.js";

export interface DashboardOptions {
  /** The runs folder; it is made where there is none yet. */
  folder: string;
  /** 0, the default, takes one that is free. */
  port?: number;
  /** How a run is resumed; default: by a process of its own. */
  resume?: Resume;
}

export interface Dashboard extends AsyncDisposable {
  /** Where the page is. */
  url: string;
  /** What the page asks for before it stops or resumes a run. */
  token: string;
  close(): Promise<void>;
}

/**
 * Serves the runs of a folder on 127.0.0.1.
 *
 * @throws EspalierError ("input") where the port is taken, ("environment") where the page was not built
 */
export async function startDashboard({ folder, port = 0, resume }: DashboardOptions): Promise<Dashboard> {
  const page = await readPage();
  const runs = path.resolve(folder);
  await mkdir(runs, { recursive: true });
  const token = randomBytes(12).toString("base64url");
  let hosts: string[] = [];
  const { fetch } = routes({ folder: runs, token, hosts: () => hosts, page, control: new Control(resume) });
  const server = createAdaptorServer({ fetch });
  server.listen(port, "127.0.0.1");
  await once(server, "listening").catch((error: NodeJS.ErrnoException) => {
    throw new EspalierError(
      `--port: ${port} cannot be used: ${error.code === "EADDRINUSE" ? "it is taken" : error.message}`,
      {
        code: "input",
        mend: "Give another one, or leave --port out to have a free one chosen.",
        cause: error,
      },
    );
  });
  const { port: taken } = server.address() as AddressInfo;
  hosts = [`127.0.0.1:${taken}`, `localhost:${taken}`];
  const close = async () => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { url: `http://127.0.0.1:${taken}/`, token, close, [Symbol.asyncDispose]: close };
}
