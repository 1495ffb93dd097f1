/** What every reproduction script is told on its command line. */
import path from "node:path";
import { parseArgs } from "node:util";
import { EspalierError } from "../../src/index.js";

/**
 * `smoke`: seconds, on a few embedded rows, to see that a script works; `small`: MiniLM on the CPU, at most fifty minutes of a
 * core; `medium`: twice the training on longer rows, one to two hours of a core; `paper`: whole tasks of the Hub and a model of
 * RoBERTa-base's class on CUDA.
 */
export const scales = ["smoke", "small", "medium", "paper"] as const;
export type Scale = (typeof scales)[number];

export interface Options {
  /** The script's name. */
  script: string;
  scale: Scale;
  /** A folder a task with train.jsonl and validation.jsonl or test.jsonl; undefined: the embedded tasks stand in. */
  data: string | undefined;
  /** All scripts' runs, which share trials. */
  runs: string;
  /** Takes tables and figures. */
  output: string;
  seeds: number;
  /** At paper scale: a name on the Hub, or a folder. */
  backbone: string;
}

/**
 * The options of `script`; `--help` prints them and ends the program.
 *
 * @throws EspalierError ("input") naming the option at fault
 */
export function readOptions(script: string, purpose: string, given = process.argv.slice(2)): Options {
  const { values } = parsed(script, given);
  if (values.help) {
    console.log(helpOf(script, purpose));
    process.exit(0);
  }
  const scale = scales.find((name) => name === values.scale);
  if (scale === undefined) throw wrong("--scale", values.scale, `Use one of: ${scales.join(", ")}.`);
  const seeds = Number(values.seeds ?? { smoke: 1, small: 3, medium: 3, paper: 5 }[scale]);
  if (!Number.isInteger(seeds) || seeds < 1) throw wrong("--seeds", values.seeds, "Give a whole number of at least 1.");
  return {
    script,
    scale,
    data: values.data === undefined ? undefined : path.resolve(values.data),
    runs: path.resolve(values.runs),
    output: path.resolve(values.output, `${script}-${scale}`),
    seeds,
    backbone: values.backbone,
  };
}

function parsed(script: string, given: string[]) {
  try {
    return parseArgs({
      args: given,
      options: {
        scale: { type: "string", default: "small" },
        data: { type: "string" },
        runs: { type: "string", default: "reproduction/runs" },
        output: { type: "string", default: "reproduction" },
        seeds: { type: "string" },
        backbone: { type: "string", default: "FacebookAI/roberta-base" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new EspalierError(`${script}: ${(error as Error).message}`, {
      code: "input",
      mend: "--help lists the options.",
    });
  }
}

function wrong(option: string, value: unknown, mend: string): EspalierError {
  return new EspalierError(`${option}: ${JSON.stringify(value)} is not allowed`, { code: "input", mend });
}

function helpOf(script: string, purpose: string): string {
  return `${purpose}

  npx jiti scripts/${script}.ts --scale small --data <folder>

  --scale <scale>    smoke: seconds, a few embedded rows; small (default): MiniLM on the CPU,
                     at most fifty minutes of a core; medium: twice the training on longer
                     rows, one to two hours of a core; paper: whole tasks of the Hub on CUDA
  --data <folder>    at small and medium scale: a folder a task with train.jsonl,
                     validation.jsonl and, where there is one, test.jsonl; without it the
                     embedded tasks
  --runs <folder>    the run directories, shared by all scripts (reproduction/runs); what is
                     there is continued and not computed again
  --output <folder>  takes tables and figures (reproduction)
  --seeds <count>    default: 1 at smoke, 3 at small and medium, 5 at paper scale
  --backbone <name>  at paper scale: a name on the Hub, or a folder`;
}
