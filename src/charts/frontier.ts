/** Which points no other beats at both score and cost. */

/** The points with a higher score than every one that costs no more, cheapest first. Of equals the first counts. */
export function frontier<Point extends { cost: number; score: number }>(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.cost - b.cost || b.score - a.score);
  let best = -Infinity;
  return sorted.filter((point) => {
    if (point.score <= best) return false;
    best = point.score;
    return true;
  });
}
