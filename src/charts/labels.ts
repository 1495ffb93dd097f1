/** Labels that stand beside what they name, so that no figure needs a legend. */

/** Width of a text of 12 pixels, on the safe side: a system font's letters are about 0.55 of its size wide, bold ones 0.62. */
export function textWidth(text: string, weight: "normal" | "bold" = "normal"): number {
  return 12 * (weight === "bold" ? 0.62 : 0.56) * text.length;
}

/**
 * Moves `positions` (pixels) apart until neighbours are at least `gap` from each other and all lie between `low` and `high`,
 * each by as little as may be: those that push each other share the way about their mean.
 */
export function spread(positions: readonly number[], gap: number, low = -Infinity, high = Infinity): number[] {
  const order = positions.map((_, index) => index).sort((a, b) => positions[a]! - positions[b]! || a - b);
  const groups: { members: number[]; start: number }[] = [];
  for (const index of order) {
    let group = { members: [index], start: within(positions[index]!, 0) };
    for (let last = groups.at(-1); last !== undefined && last.start + last.members.length * gap > group.start; ) {
      const members = [...last.members, ...group.members];
      const mean = members.reduce((sum, member, at) => sum + positions[member]! - at * gap, 0) / members.length;
      group = { members, start: within(mean, (members.length - 1) * gap) };
      groups.pop();
      last = groups.at(-1);
    }
    groups.push(group);
  }
  const moved = new Array<number>(positions.length);
  for (const { members, start } of groups) {
    for (const [at, member] of members.entries()) moved[member] = start + at * gap;
  }
  return moved;

  function within(start: number, length: number): number {
    return Math.max(low, Math.min(start, high - length));
  }
}
