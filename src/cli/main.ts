#!/usr/bin/env node
/** The command line. */
import { readFileSync } from "node:fs";
import path from "node:path";
import tab from "@bomb.sh/tab/commander";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { exportFormats, mergeMethods } from "../experiment/records.js";
import { completeRuns } from "./completion.js";
import { type CommonOptions, reportError } from "./output.js";

const { version } = JSON.parse(readFileSync(path.resolve(import.meta.dirname, "..", "..", "package.json"), "utf8")) as {
  version: string;
};

const program = new Command("espalier")
  .description("Learns where adapters belong in a frozen transformer, under a budget, and proves the answer.")
  .version(version)
  .exitOverride()
  .showSuggestionAfterError()
  // Names alone leave the descriptions room in 80 columns; each command's own help has its arguments.
  .configureHelp({ subcommandTerm: (entry) => entry.name() })
  .addHelpText("after", "\nStart with: espalier quickstart");

const runsFolder = () => new Option("--runs <folder>", "the folder of run directories").default("runs");

command("quickstart", "the main job on the embedded model and data, end to end", "espalier quickstart")
  .addOption(runsFolder())
  .action(carried(async (options) => (await import("./run.js")).quickstartCommand(options)));

command("run", "run an experiment: .ts, .js or .json", "espalier run experiment.ts --runs runs")
  .argument("[file]", "the experiment")
  .addOption(runsFolder())
  .option("--resume <run>", "continue an interrupted run where it stopped")
  .option("--dashboard", "show the run in a browser while it goes on")
  .action(carried(async (options, file) => (await import("./run.js")).runCommand(file, options)));

command("inspect", "a model's sites, shapes, and what each candidate costs", "espalier inspect minilm")
  .argument("<model>", "minilm, a folder, or a name on the Hub")
  .action(carried(async (options, model) => (await import("./inspect.js")).inspectCommand(model!, options)));

command("kinds", "every adapter kind: equation, source, cost, and where it can be taken", "espalier kinds")
  .argument("[model]", "the model that costs are for: minilm, a folder, or a name on the Hub", "minilm")
  .option("--times", "also time a training step with each, against LoRA's: a minute or two")
  .action(carried(async (options, model) => (await import("./kinds.js")).kindsCommand(model!, options)));

command("runs", "list runs, newest first", "espalier runs")
  .argument("[folder]", "the folder of run directories", "runs")
  .action(carried(async (options, folder) => (await import("./runs.js")).runsCommand(folder!, options)));

command("query", "ask all runs in SQL", 'espalier query "SELECT task, method, mean FROM results ORDER BY mean"')
  .argument("[sql]", "a query over the views; DuckDB's SQL")
  .addOption(runsFolder())
  .addOption(
    new Option("--format <format>", "how to print the rows").choices(["table", "json", "csv"]).default("table"),
  )
  .option("--views", "list the views and their columns instead")
  .action(carried(async (options, sql) => (await import("./query.js")).queryCommand(sql, options)));

command("cache", "what is kept of the frozen layers' work; --clear frees it", "espalier cache --clear")
  .option("--clear", "take every entry away")
  .action(carried(async (options) => (await import("./cache.js")).cacheCommand(options)));

command("show", "a run's table and learned structure", "espalier show latest")
  .argument("<run>", "a run directory, the beginning of a name in --runs, or latest")
  .addOption(runsFolder())
  .action(carried(async (options, run) => (await import("./show.js")).showCommand(run!, options)));

command(
  "compare",
  "a method of one run against one of another, paired by seed and item",
  "espalier compare latest/budgeted latest/saliency",
)
  .argument("<run>", "RUN for its answer, or RUN/METHOD")
  .argument("<against>", "the same of another run, or another method of that one")
  .addOption(runsFolder())
  .addHelpText(
    "after",
    "\nRuns on other backbones, evaluation rows or metrics, or with no seed in common,\nare refused; what else differs is listed.",
  )
  .action(
    carried(async (options, given, against) =>
      (await import("./compare.js")).compareCommand(options, given!, against!),
    ),
  );

command(
  "structure",
  "draw a learned structure, or compare two",
  "espalier structure latest/budgeted-seed0 latest/budgeted-seed1",
)
  .argument("<structure>", "a structure.json, a trial's folder, RUN/TRIAL, or RUN for its answer")
  .argument("[against]", "another structure: what both share, and what moved")
  .addOption(runsFolder())
  .action(
    carried(async (options, given, against) =>
      (await import("./structure.js")).structureCommand(options, given!, against),
    ),
  );

command("dashboard", "a page that shows runs, live and ended", "espalier dashboard runs --port 8080 --no-open")
  .argument("[folder]", "the folder of run directories", "runs")
  .addOption(new Option("--port <number>", "default: one that is free").argParser(portOption))
  .option("--no-open", "do not open a browser")
  .action(carried(async (options, folder) => (await import("./dashboard.js")).dashboardCommand(folder!, options)));

command("report", "a run as one HTML file, or its tables", "espalier report latest --format md")
  .argument("<run>", "a run directory, the beginning of a name in --runs, or latest")
  .addOption(
    new Option("--format <format>", "html: the whole report; md, latex, csv: the tables")
      .choices(["html", "md", "latex", "csv"])
      .default("html"),
  )
  .option("--output <file>", "where to write; default: html into the run's directory, tables to stdout")
  .addOption(runsFolder())
  .action(carried(async (options, run) => (await import("./report.js")).reportCommand(run!, options)));

command(
  "export",
  "take the answer's adapter away, reloaded and compared",
  "espalier export latest --to peft --output adapters",
)
  .argument("<run>", "a run directory, the beginning of a name in --runs, or latest")
  .addOption(
    new Option("--to <format>", "peft holds LoRA or (IA)^3; merged is a plain model; native and onnx hold every kind")
      .choices(exportFormats)
      .default("peft"),
  )
  .option("--task <name>", "one task instead of all")
  .option("--trial <id>", "another trial than the answer's, such as uniform-seed0")
  .option("--output <folder>", "where to write; default: the run's own exports")
  .addOption(runsFolder())
  .action(carried(async (options, run) => (await import("./export.js")).exportCommand(run!, options)));

command(
  "merge",
  "the LoRA adapters of several tasks as one, reloaded and scored",
  "espalier merge latest --method mda --output adapters",
)
  .argument("<runs...>", "two tasks or more: runs as for export, or RUN/TRIAL")
  .addOption(
    new Option("--method <method>", "mda: directional alignment; arithmetic: the weighted sum; ties")
      .choices(mergeMethods)
      .default("arithmetic"),
  )
  .addOption(
    new Option("--weight <number>", "of every task; default: 1 / tasks, with ties 1").argParser(
      numberOption("a number above 0", (value) => value > 0 && Number.isFinite(value)),
    ),
  )
  .addOption(
    new Option("--density <number>", "ties: the share of each update that is kept")
      .argParser(numberOption("above 0 and at most 1", (value) => value > 0 && value <= 1))
      .default(0.2),
  )
  .addOption(
    new Option("--rank <number>", "the most a linear may have; default: what the tasks have").argParser(
      numberOption("a whole number above 0", (value) => Number.isInteger(value) && value > 0),
    ),
  )
  .option("--task <name>", "these tasks alone; may be repeated", (name, names: string[] = []) => [...names, name])
  .option("--output <folder>", "where to write; default: the first run's own exports")
  .addOption(runsFolder())
  .addHelpText(
    "after",
    "\nScores are those of the evaluation split: they tell what a merge is worth, and\nare not for choosing its options by.",
  )
  .action(carried<[string[]]>(async (options, runs) => (await import("./merge.js")).mergeCommand(runs, options)));

command("robustness", "the fitted models of a run under noise", "espalier robustness latest --rows 500")
  .argument("<run>", "a run directory, the beginning of a name in --runs, or latest")
  .option("--noise <names>", "some of input,activation,path,weight; default: all")
  .option("--ratios <percents>", "how much is perturbed; default: 5,10,15,20")
  .addOption(
    new Option("--rows <count>", "evaluation rows a task at most, the same for all; default: all").argParser(
      numberOption("a whole number above 0", (value) => Number.isInteger(value) && value > 0),
    ),
  )
  .addOption(runsFolder())
  .action(carried(async (options, run) => (await import("./robustness.js")).robustnessCommand(run!, options)));

command("setup", "make the Python environment, once", "espalier setup").action(
  carried(async (options) => (await import("./setup.js")).setupCommand(options)),
);

command("doctor", "what is found, what is missing, and the command that mends it", "espalier doctor").action(
  carried(async (options) => (await import("./doctor.js")).doctorCommand(options)),
);

const completion = tab(program, { completionCommandName: "completion" });
completeRuns(completion);
program.commands
  .find((entry) => entry.name() === "completion")
  ?.description("a script that completes commands, options and runs on Tab")
  .addHelpText("after", "\nExample:\n  source <(espalier completion bash)");

// A reader that goes away early, such as `head`, is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    if (process.argv.length <= 2) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // commander has printed what was wrong with the command's words; help and version end here too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportError(error, {});
  }
}

function command(name: string, description: string, example: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "print one JSON object and nothing else")
    .option("--verbose", "with errors, show the traceback")
    .addHelpText("after", `\nExample:\n  ${example}`);
}

/** A parser of numbers that are `allowed`; `what` says which those are. */
function numberOption(what: string, allowed: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (allowed(value)) return value;
    throw new InvalidArgumentError(`It must be ${what}.`);
  };
}

function portOption(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be a number between 0 and 65535; 0 takes a free one.");
}

// biome-ignore lint/suspicious/noExplicitAny: commander gives each command's options untyped; the command types them
type Action<Given extends unknown[]> = (options: any, ...given: Given) => Promise<number>;

/** Runs a command, reports its error, and sets the exit code. */
function carried<Given extends unknown[] = (string | undefined)[]>(
  action: Action<Given>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const self = given.at(-1) as Command;
    const options = self.opts<CommonOptions>();
    try {
      // commander gives the arguments, then the options, then the command.
      process.exitCode = await action(options, ...(given.slice(0, -2) as Given));
    } catch (error) {
      process.exitCode = reportError(error, options);
    }
  };
}
