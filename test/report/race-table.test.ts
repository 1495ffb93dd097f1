import { expect, test } from "vitest";
import type { Race } from "../../src/experiment/records.js";
import { raceTable } from "../../src/report/race-table.js";

function entrant(proposal: string, loss: number, behind: number, kept: boolean) {
  return { proposal, learningRate: 0.003, parameters: 22_272, loss, behind, standardError: 0.0123, kept };
}

const race: Race = {
  version: 1,
  fits: 3.94,
  limit: 4,
  heldOut: 200,
  rounds: [
    {
      steps: 12,
      rows: 50,
      entrants: [
        entrant("uniform", 0.5, 0, true),
        { ...entrant("budgeted", 0.5251, 0.0251, true), learningRate: 0.0009 },
        { ...entrant("random-draw0", 0.7, 0.2, false), loss: "Infinity", behind: "Infinity", standardError: "NaN" },
        entrant("saliency", 0.61, 0.11, false),
      ],
    },
    { steps: 40, rows: 200, entrants: [entrant("uniform", 0.44, 0.01, false), entrant("budgeted", 0.43, 0, true)] },
  ],
};

test("a race's table has each round's leader and the best that left it", () => {
  expect(raceTable("race-seed0", race)).toBe(
    [
      "race of race-seed0: 3.9 of 4 fits, decided on 200 rows of train",
      "round  of  steps  entrant    rate  params   loss  behind",
      "    1   4     12  uniform   0.003   22.3k  0.500  leads",
      "                  saliency  0.003   22.3k  0.610  0.110 +- 0.012, out",
      "    2   2     40  budgeted  0.003   22.3k  0.430  leads",
      "                  uniform   0.003   22.3k  0.440  0.010 +- 0.012, out",
    ].join("\n"),
  );
});

test("a race of one entrant had nothing to decide", () => {
  expect(raceTable("race-seed0", { ...race, rounds: [] })).toBe("race of race-seed0: one entrant, no round");
});
