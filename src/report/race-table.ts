/** How a race went, round by round, in at most 80 columns. */
import type { Race } from "../experiment/records.js";
import { short, toNumber } from "./numbers.js";
import { plainTable } from "./plain-table.js";

type Round = Race["rounds"][number];

/** A line for each round's leader and for the best that left it. */
export function raceTable(trial: string, { rounds, fits, limit, heldOut }: Race): string {
  const cost = `${fits.toFixed(1)} of ${limit} fits, decided on ${heldOut} rows of train`;
  if (rounds.length === 0) return `race of ${trial}: one entrant, no round`;
  const head = ["round", "of", "steps", "entrant", "rate", "params", "loss", "behind"];
  const align = ["right", "right", "right", "left", "right", "right", "right", "left"] as const;
  return `race of ${trial}: ${cost}\n${plainTable(head, align, rounds.flatMap(lines))}`;
}

function lines(round: Round, index: number): string[][] {
  const ranked = [...round.entrants].sort((a, b) => toNumber(a.loss) - toNumber(b.loss));
  const shown = [ranked[0], ranked.find((entrant) => !entrant.kept)].filter((entrant) => entrant !== undefined);
  return shown.map((entrant, place) => [
    ...(place === 0 ? [String(index + 1), String(round.entrants.length), String(round.steps)] : ["", "", ""]),
    entrant.proposal,
    Number(entrant.learningRate.toPrecision(2)).toString(),
    short(entrant.parameters),
    decimal(entrant.loss),
    place === 0 ? "leads" : `${decimal(entrant.behind)} +- ${decimal(entrant.standardError)}, out`,
  ]);
}

function decimal(value: Round["entrants"][number]["loss"]): string {
  const number = toNumber(value);
  return Number.isFinite(number) ? number.toFixed(3) : String(number);
}
