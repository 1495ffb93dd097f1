/**
 * Times the store over many synthetic runs.
 *
 *     npx jiti scripts/query-time.ts [runs]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openStore } from "../src/runs/store/store.js";
import { writeSyntheticRun } from "../test/fixtures/synthetic-run.js";

const count = Number(process.argv[2] ?? 1000);
const folder = await mkdtemp(path.join(tmpdir(), "espalier-query-"));
try {
  for (let index = 0; index < count; index++) {
    await writeSyntheticRun(folder, {
      name: `run-${index}`,
      seeds: 1,
      steps: 20,
      seed: index,
      started: 1.79e9 + index,
    });
  }
  const opened = performance.now();
  const store = await openStore(folder);
  console.log(`${count} runs: opened in ${milliseconds(opened)} ms`);
  const queries = {
    "mean score a method": "SELECT method, avg(mean) FROM results GROUP BY method",
    verdicts: "SELECT b, verdict, count(*) FROM comparisons GROUP BY ALL",
    "trials by state (a JSON file each)": "SELECT status, count(*), avg(seconds_fit) FROM trials GROUP BY status",
    "which slots are chosen (a JSON file each)": "SELECT slot, sum(size) FROM candidates GROUP BY slot",
    "last gates (a Parquet file each)":
      "SELECT candidate, avg(value) FROM gates WHERE step = (SELECT max(step) FROM gates) GROUP BY candidate",
    "loss curve (a JSONL file each)": "SELECT stage, step, avg(loss) FROM steps GROUP BY stage, step",
  };
  for (const [name, sql] of Object.entries(queries)) {
    const times: string[] = [];
    for (let round = 0; round < 2; round++) {
      const started = performance.now();
      await store.sql(sql);
      times.push(milliseconds(started));
    }
    console.log(`${name}: ${times[0]} ms the first time, ${times[1]} ms again`);
  }
  store.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}

function milliseconds(since: number): string {
  return (performance.now() - since).toFixed(0);
}
