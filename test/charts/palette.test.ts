import { describe, expect, test } from "vitest";
import { palettes } from "../../src/charts/palette.js";

type Triple = [number, number, number];
type Matrix = [Triple, Triple, Triple];

/** Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB. */
const sights: Record<string, Matrix> = {
  "full colour vision": [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

describe.each(["light", "dark"] as const)("the %s palette", (theme) => {
  const { background, ink, dim, series } = palettes[theme];

  test("stands out from its background: 3 to 1 for marks, 4.5 to 1 for text", () => {
    for (const colour of series) expect(contrast(colour, background)).toBeGreaterThan(3);
    for (const colour of [ink, dim]) expect(contrast(colour, background)).toBeGreaterThan(4.5);
  });

  test.each(Object.keys(sights))("keeps any two series apart under %s", (sight) => {
    const seen = series.map((colour) => lab(seenAs(linear(colour), sights[sight]!)));
    for (const [index, a] of seen.entries()) {
      for (const b of seen.slice(index + 1)) expect(distance(a, b)).toBeGreaterThan(15);
    }
  });
});

function linear(colour: string): Triple {
  return [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as Triple;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [a, b].map((colour) => dot(linear(colour), [0.2126, 0.7152, 0.0722])).sort((x, y) => y - x) as [
    number,
    number,
  ];
  return (light + 0.05) / (dark + 0.05);
}

function seenAs(colour: Triple, matrix: Matrix): Triple {
  return matrix.map((row) => Math.min(1, Math.max(0, dot(row, colour)))) as Triple;
}

/** CIE L*a*b* under D65. */
function lab(colour: Triple): Triple {
  const [x, y, z] = [
    dot(colour, [0.4124, 0.3576, 0.1805]) / 0.95047,
    dot(colour, [0.2126, 0.7152, 0.0722]),
    dot(colour, [0.0193, 0.1192, 0.9505]) / 1.08883,
  ].map((value) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116)) as Triple;
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function dot(a: Triple, b: Triple): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function distance(a: Triple, b: Triple): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
