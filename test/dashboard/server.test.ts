import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventsMessage, RunDetail, RunEntry, RunsMessage } from "../../src/dashboard/data.js";
import { type Dashboard, startDashboard } from "../../src/dashboard/server.js";
import { appendEvents, syntheticRun, writeSyntheticRun } from "../fixtures/synthetic-run.js";
import { type Asked, ask, messages } from "./ask.js";

const markup = '<img src=x onerror="alert(1)">';
let base: string;
let folder: string;
let dashboard: Dashboard;
const resumed: string[] = [];
let resumeSays: string | undefined;

beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "espalier-dashboard-"));
  folder = path.join(base, "runs");
  await mkdir(folder);
  await writeFile(path.join(base, "secret.txt"), "secret");
  await writeSyntheticRun(folder, { directory: "whole", steps: 10 });
  await writeSyntheticRun(folder, { directory: markup, steps: 5 });
  await writeSyntheticRun(folder, { directory: "live", steps: 10, finished: 0.5, pid: process.pid });
  await writeSyntheticRun(folder, { directory: "stopped", steps: 10, finished: 0.5 });
  await mkdir(path.join(folder, "damaged"));
  await writeFile(path.join(folder, "damaged", "plan.json"), "{");
  dashboard = await startDashboard({
    folder,
    resume: async (directory) => {
      resumed.push(path.basename(directory));
      return resumeSays;
    },
  });
});
afterAll(async () => {
  await dashboard.close();
  await rm(base, { recursive: true, force: true });
});

const get = (place: string, headers: Record<string, string> = {}): Promise<Asked> =>
  ask(dashboard.url, place, { headers });
const post = (place: string, token?: string): Promise<Asked> =>
  ask(dashboard.url, place, {
    method: "POST",
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });

describe("the list", () => {
  test("holds every run with its state, damaged ones too", async () => {
    const entries = JSON.parse((await get("/api/runs")).text) as RunEntry[];
    const states = Object.fromEntries(entries.map((entry) => [entry.name, entry.state]));
    expect(states).toEqual({
      whole: "done",
      [markup]: "done",
      live: "running",
      stopped: "interrupted",
      damaged: "damaged",
    });
    const live = entries.find((entry) => entry.name === "live")!;
    expect(live.done).toBeCloseTo(0.5, 12);
    expect(entries.find((entry) => entry.name === "whole")!.answer.map(({ task }) => task)).toEqual(["snips", "qnli"]);
  });

  test("is followed: first all of it, then what changed and what is gone", async () => {
    await writeSyntheticRun(folder, { directory: "passing", steps: 5 });
    const following = messages<RunsMessage>(dashboard.url, "api/stream", "runs", 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await rm(path.join(folder, "passing"), { recursive: true });
    const [first, second] = await following;
    expect(first!.changed.map((entry) => entry.name)).toContain("passing");
    expect(second).toMatchObject({ changed: [], gone: ["passing"] });
  });
});

describe("a run", () => {
  test("is read with its progress, results and exported files", async () => {
    const detail = JSON.parse((await get("/api/runs/whole")).text) as RunDetail;
    expect(detail.state).toBe("done");
    expect(detail.progress).toMatchObject({ done: 1, ended: "done" });
    expect(Object.keys(detail.results)).toHaveLength(18);
    expect(detail.withGates).toEqual(["budgeted-seed0", "budgeted-seed1", "budgeted-seed2"]);
    expect(detail.exports[0]).toEqual({ path: "exports/qnli-peft/adapter_config.json", bytes: 2 });
  });

  test("gives structures, gates and curves", async () => {
    expect(Object.keys(JSON.parse((await get("/api/runs/whole/structures")).text))).toHaveLength(18);
    const gates = JSON.parse((await get("/api/runs/whole/gates/budgeted-seed0")).text);
    expect(gates.steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(JSON.parse((await get("/api/runs/whole/curves")).text)).toHaveLength(21);
  });

  test("whose plan is damaged is an answer, not a fault", async () => {
    const { status, text } = await get("/api/runs/damaged");
    expect(status).toBe(422);
    expect(JSON.parse(text).error).toContain("plan.json: cannot be read");
  });

  test("is followed from an offset on", async () => {
    const { offset, progress } = JSON.parse((await get("/api/runs/live")).text) as RunDetail;
    const following = messages<EventsMessage>(dashboard.url, `api/runs/live/events?from=${offset}`, "events", 1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const event = { seq: progress.seq + 1, time: 1, type: "warning" as const, trial: null, message: markup };
    await appendEvents(path.join(folder, "live"), [event]);
    expect(await following).toEqual([{ events: [event] }]);
  });

  test("that is taken away while it is followed ends the stream with a word", async () => {
    await writeSyntheticRun(folder, { directory: "leaving", steps: 5, finished: 0.5, pid: process.pid });
    const following = messages<void>(dashboard.url, "api/runs/leaving/events?from=0", "gone", 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await rm(path.join(folder, "leaving"), { recursive: true });
    expect(await following).toHaveLength(1);
  });
});

describe("files", () => {
  test("are sent, whole or in part", async () => {
    const whole = await get("/api/runs/whole/files/plan.json");
    expect(JSON.parse(whole.text)).toEqual(syntheticRun({ steps: 10 }).plan);
    const part = await get("/api/runs/whole/files/plan.json", { Range: "bytes=-5" });
    expect([part.status, part.text]).toEqual([206, whole.text.slice(-5)]);
    expect(part.headers["content-range"]).toBe(
      `bytes ${whole.text.length - 5}-${whole.text.length - 1}/${whole.text.length}`,
    );
    expect((await get("/api/runs/whole/files/plan.json", { Range: "bytes=999999-" })).status).toBe(416);
  });

  test("that are larger than memory are sent in pieces", async () => {
    const bytes = 64 * 2 ** 30;
    const large = path.join(folder, "whole", "large.bin");
    await writeFile(large, "");
    await truncate(large, bytes);
    const left = new AbortController();
    const answer = await fetch(`${dashboard.url}api/runs/whole/files/large.bin`, { signal: left.signal });
    expect(answer.headers.get("content-length")).toBe(String(bytes));
    const { value } = await answer.body!.getReader().read();
    expect(value!.length).toBeGreaterThan(0);
    left.abort();
  });

  test("cannot act as pages of this server", async () => {
    await writeFile(path.join(folder, "whole", "report.html"), "<script>alert(1)</script>");
    const { headers } = await get("/api/runs/whole/files/report.html");
    expect(headers["content-security-policy"]).toMatch(/^sandbox; default-src 'none'/);
    expect(headers["x-content-type-options"]).toBe("nosniff");
    const adapter = await get("/api/runs/whole/files/large.bin", { Range: "bytes=0-0" });
    expect(adapter.headers["content-disposition"]).toBe("attachment");
  });
});

describe("no path leaves the runs folder", () => {
  beforeAll(async () => {
    await symlink(base, path.join(folder, "linked-run"));
    await symlink(path.join(base, "secret.txt"), path.join(folder, "whole", "linked.txt"));
    await symlink(base, path.join(folder, "whole", "linked"));
  });

  test.each([
    "/api/runs/../files/secret.txt",
    "/api/runs/..%2f/files/secret.txt",
    "/api/runs/%2e%2e/files/secret.txt",
    "/api/runs/..%5c/files/secret.txt",
    "/api/runs/%2e/files/whole/plan.json",
    "/api/runs/whole/files/../../secret.txt",
    "/api/runs/whole/files/..%2f..%2fsecret.txt",
    "/api/runs/whole/files/%2e%2e/%2e%2e/secret.txt",
    "/api/runs/whole/files/trials/..%2f..%2f..%2fsecret.txt",
    "/api/runs/whole/files/%252e%252e/%252e%252e/secret.txt",
    "/api/runs/whole/files//etc/passwd",
    "/api/runs/whole/files/%2fetc%2fpasswd",
    "/api/runs/whole/files/plan.json%00.txt",
    "/api/runs/whole/files/linked.txt",
    "/api/runs/whole/files/linked/secret.txt",
    "/api/runs/linked-run/files/secret.txt",
    "/api/runs/whole/gates/..%2f..%2fwhole%2ftrials%2fbudgeted-seed0",
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/assets/..%2f..%2findex.html",
  ])("%s", async (place) => {
    const { status, text } = await get(place);
    expect(status).toBe(404);
    expect(text).not.toContain("secret");
    expect(text).not.toContain("root:");
  });
});

describe("who may ask", () => {
  test.each(["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])(
    "not one who calls it %j",
    async (host) => {
      const { status, text } = await get("/api/runs", { Host: host });
      expect([status, text]).toEqual([403, expect.not.stringContaining("whole")]);
    },
  );

  test("one who calls it localhost", async () => {
    const { port } = new URL(dashboard.url);
    expect((await get("/api/runs", { Host: `localhost:${port}` })).status).toBe(200);
  });

  test("the page may load nothing but its own, and may not be framed", async () => {
    const { headers } = await get("/");
    expect(headers["content-security-policy"]).toMatch(/default-src 'none'; script-src 'self'.*frame-ancestors 'none'/);
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  });
});

describe("nothing is written without the token", () => {
  test.each(["stop", "resume"])("%s", async (what) => {
    const before = await readdir(path.join(folder, "live"));
    for (const token of [undefined, "", "wrong", `${dashboard.token}x`]) {
      expect((await post(`/api/runs/live/${what}`, token)).status).toBe(401);
    }
    expect((await get(`/api/runs/live/${what}`)).status).toBe(404);
    expect(await readdir(path.join(folder, "live"))).toEqual(before);
    expect(resumed).toEqual([]);
  });

  test("with it, stop leaves the request that the run's process looks for", async () => {
    expect((await post("/api/runs/live/stop", dashboard.token)).status).toBe(202);
    expect(await readFile(path.join(folder, "live", "stop.request"), "utf8")).toMatch(/^\d{4}-/);
  });

  test("what is not under way cannot be stopped, what is whole or under way cannot be resumed", async () => {
    for (const place of ["whole/stop", "damaged/stop", "whole/resume", "live/resume", "damaged/resume"]) {
      expect([place, (await post(`/api/runs/${place}`, dashboard.token)).status]).toEqual([place, 422]);
    }
    expect(resumed).toEqual([]);
  });

  test("an interrupted run is resumed, and a resume that fails says why", async () => {
    resumeSays = "error: no Python";
    expect((await post("/api/runs/stopped/resume", dashboard.token)).status).toBe(202);
    expect(resumed).toEqual(["stopped"]);
    const { resume } = JSON.parse((await get("/api/runs/stopped")).text) as RunDetail;
    expect(resume).toEqual({ state: "failed", message: "error: no Python" });
  });

  test("a run of another host is not taken for one that can be resumed", async () => {
    await writeFile(path.join(folder, "stopped", "writer.lock"), JSON.stringify({ pid: 1, host: `not-${hostname()}` }));
    expect((await post("/api/runs/stopped/resume", dashboard.token)).status).toBe(422);
  });
});

test("a port that is taken is named", async () => {
  const { port } = new URL(dashboard.url);
  await expect(startDashboard({ folder, port: Number(port) })).rejects.toThrow(
    `--port: ${port} cannot be used: it is taken`,
  );
});
