import { describe, expect, test } from "vitest";
import { frontier } from "../../src/charts/index.js";
import { spread } from "../../src/charts/labels.js";

describe("labels", () => {
  test("that are far enough apart stay where they are", () => {
    expect(spread([10, 50, 30], 15)).toEqual([10, 50, 30]);
  });

  test("that collide share the way about their mean, in order", () => {
    expect(spread([20, 20, 20], 10)).toEqual([10, 20, 30]);
    expect(spread([22, 20], 10)).toEqual([26, 16]);
  });

  test("stay inside their frame", () => {
    expect(spread([1, 2], 10, 0, 100)).toEqual([0, 10]);
    expect(spread([99, 100], 10, 0, 100)).toEqual([90, 100]);
  });

  test("pushed into a neighbour take it along", () => {
    const moved = spread([0, 1, 12], 10);
    expect(moved[1]! - moved[0]!).toBeCloseTo(10, 12);
    expect(moved[2]! - moved[1]!).toBeCloseTo(10, 12);
    expect((moved[0]! + moved[1]! + moved[2]!) / 3).toBeCloseTo(13 / 3, 12);
  });
});

describe("the frontier", () => {
  const point = (cost: number, score: number) => ({ cost, score });

  test("holds what nothing cheaper beats", () => {
    const points = [point(3, 0.9), point(1, 0.5), point(2, 0.4), point(2, 0.7), point(4, 0.9)];
    expect(frontier(points)).toEqual([point(1, 0.5), point(2, 0.7), point(3, 0.9)]);
  });
});
