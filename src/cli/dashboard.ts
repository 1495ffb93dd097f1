/** espalier dashboard: a page on this machine that shows the runs of a folder. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Dashboard, startDashboard } from "../dashboard/server.js";
import { type CommonOptions, printJson, say } from "./output.js";

export interface DashboardCommandOptions extends CommonOptions {
  port?: number;
  open: boolean;
}

/** Serves until Ctrl-C. */
export async function dashboardCommand(folder: string, options: DashboardCommandOptions): Promise<number> {
  await using dashboard = await startDashboard({ folder, port: options.port ?? 0 });
  if (options.json) printJson({ url: dashboard.url, token: dashboard.token });
  else announce(dashboard);
  if (options.open) openInBrowser(dashboard.url);
  await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
  return 0;
}

/** Says where the page is, and the token without which it only reads. */
export function announce({ url, token }: Dashboard): void {
  say(`dashboard: ${url}\ntoken to stop and resume runs: ${token}`);
}

/** A machine without a browser has the address on the terminal. */
export function openInBrowser(url: string): void {
  const opener = spawn(process.platform === "darwin" ? "open" : "xdg-open", [url], { detached: true, stdio: "ignore" });
  opener.on("error", () => {});
  opener.unref();
}
