/** What the server answers. */
import { type Context, Hono } from "hono";
import { EspalierError } from "../errors.js";
import { type LossCurve, readCurves } from "../runs/curves.js";
import { readGates } from "../runs/gates.js";
import { readPlan } from "../runs/read.js";
import type { Control } from "./control.js";
import type { RunDetail } from "./data.js";
import { onlyFor, withToken } from "./guard.js";
import type { PageFile } from "./page-files.js";
import { filePlace, runPlace } from "./places.js";
import { RunDetails, structuresOf } from "./run-detail.js";
import { RunList } from "./run-list.js";
import { sendFile } from "./send-file.js";
import { streamEvents, streamRuns } from "./streams.js";

export interface RouteOptions {
  /** The runs folder. */
  folder: string;
  /** What a request must carry to stop or resume a run. */
  token: string;
  /** The Host headers that are this server's own. */
  hosts: () => readonly string[];
  page: ReadonlyMap<string, PageFile>;
  control: Control;
}

export function routes({ folder, token, hosts, page, control }: RouteOptions): Hono {
  const app = new Hono();
  const list = new RunList(folder);
  const details = new RunDetails();

  app.use(onlyFor(hosts));
  app.onError((error, context) => {
    if (!(error instanceof EspalierError)) console.error(error);
    const known = error instanceof EspalierError ? error : undefined;
    return context.json({ error: error.message, mend: known?.mend ?? null }, known?.code === "input" ? 422 : 500);
  });

  app.get("/api/runs", async (context) => context.json(await list.entries()));
  app.get("/api/stream", (context) => streamRuns(context, list));

  app.get("/api/runs/:run", async (context) =>
    inRun(context, async (directory) => {
      const detail: RunDetail = { ...(await details.read(directory)), resume: control.resumeOf(directory) };
      return context.json(detail);
    }),
  );
  app.get("/api/runs/:run/events", (context) => inRun(context, (directory) => streamEvents(context, directory)));
  app.get("/api/runs/:run/structures", (context) =>
    inRun(context, async (directory) => context.json(await structuresOf(directory))),
  );
  app.get("/api/runs/:run/curves", (context) =>
    inRun(context, async (directory) => context.json(await curvesOf(directory))),
  );
  app.get("/api/runs/:run/gates/:trial", (context) =>
    inRun(context, async (directory) => {
      // A trial's name is one of the plan's, and never a path.
      const { trials } = await readPlan(directory);
      const trial = trials.find(({ id }) => id === context.req.param("trial"));
      const gates = trial && (await readGates(directory, trial.id));
      return gates === undefined ? missing(context, "the trial recorded no gates") : context.json(gates);
    }),
  );
  app.get("/api/runs/:run/files/:file{.+}", (context) =>
    inRun(context, async (directory) => {
      const place = await filePlace(directory, context.req.param("file") ?? "");
      return place === undefined ? missing(context, "the run has no such file") : sendFile(context, place);
    }),
  );

  app.post("/api/runs/:run/stop", withToken(token), (context) =>
    inRun(context, async (directory) => {
      await control.stop(directory);
      return context.json({ asked: "stop" }, 202);
    }),
  );
  app.post("/api/runs/:run/resume", withToken(token), (context) =>
    inRun(context, async (directory) => {
      await control.resume(directory);
      return context.json({ asked: "resume" }, 202);
    }),
  );
  app.post("/api/token", withToken(token), (context) => context.json({ valid: true }));

  app.get("*", (context) => {
    const file = page.get(context.req.path);
    if (file === undefined) return missing(context, "there is nothing here");
    // The names of built files hold a hash of their content.
    const cache = context.req.path.startsWith("/assets/") ? "max-age=31536000, immutable" : "no-cache";
    return context.body(file.content, 200, { "Content-Type": file.type, "Cache-Control": cache });
  });
  return app;

  async function inRun(
    context: Context,
    answer: (directory: string) => Response | Promise<Response>,
  ): Promise<Response> {
    const directory = await runPlace(folder, context.req.param("run") ?? "");
    return directory === undefined ? missing(context, "there is no such run") : answer(directory);
  }
}

function missing(context: Context, what: string): Response {
  return context.json({ error: what }, 404);
}

async function curvesOf(directory: string): Promise<LossCurve[]> {
  const { trials } = await readPlan(directory);
  const curves: LossCurve[] = [];
  for (const { id, method } of trials) curves.push(...(await readCurves(directory, id, method)));
  return curves;
}
