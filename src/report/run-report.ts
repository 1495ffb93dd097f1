/** Everything the terminal says about a finished run. */
import type { Outcome } from "../runs/outcome.js";
import { costLegend, costTable } from "./cost-table.js";
import { exportLines, relative } from "./export-lines.js";
import { layerShareLines } from "./layer-shares.js";
import { duration } from "./numbers.js";
import type { Paint } from "./paint.js";
import { terminalTable } from "./plain-table.js";
import { raceTable } from "./race-table.js";
import { resultsLegend, resultsTable } from "./results-table.js";
import { drawStructure } from "./structure-drawing.js";
import { evidenceTables } from "./tables/evidence.js";
import { wrap } from "./wrap.js";

/** Columns that would not fit: the verdict stands in the results, p before correction in the record. */
const tooWide = ["verdict", "p"];

/** Table, structure, exports and directory, as `espalier run` and `espalier show` print them. */
export function runReport({ record, structure, layerShares, failures, race, report }: Outcome, paint: Paint): string {
  const [answer] = record.rows;
  const backbone =
    answer === undefined || answer.parameters.fraction === 0
      ? undefined
      : answer.parameters.union / answer.parameters.fraction;
  const costs = costTable(record);
  const sections = [
    resultsTable(record, paint),
    paint.dim(resultsLegend(record)),
    ...(costs === undefined ? [] : [costs, paint.dim(costLegend)]),
    ...evidenceTables(record).flatMap(({ table, legend }) => [
      `${wrap(`${paint.bold(table.name)}  ${table.caption}`)}\n${terminalTable(table, tooWide)}`,
      ...(legend === undefined ? [] : [paint.dim(legend)]),
    ]),
    ...(structure === undefined || structure.candidates.length === 0
      ? []
      : [drawStructure(structure, paint, backbone)]),
    ...(race === undefined ? [] : [raceTable(race.trial, race.race)]),
    ...(layerShares === undefined ? [] : [layerShareLines(layerShares)]),
    ...paragraph(failures.map(({ trial, error }) => `failed: ${trial}: ${error}`)),
    ...paragraph(record.warnings.map((warning) => `note: ${warning}`)),
    [
      ...record.exports.map(exportLines),
      ...(report === undefined ? [] : [`report: ${relative(report)}`]),
      `run ${record.status} in ${duration(record.seconds)}: ${relative(record.run)}`,
    ].join("\n"),
  ];
  return sections.join("\n\n");
}

function paragraph(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [lines.map(wrap).join("\n")];
}
