/** Colour where the terminal has it, plain text where it does not. */
import pc from "picocolors";

export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

/** Paints for a stream; NO_COLOR, FORCE_COLOR and pipes are respected. */
export function paintFor(stream: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0";
  const colours = pc.createColors(!env.NO_COLOR && (forced || (stream.isTTY === true && env.TERM !== "dumb")));
  // Blue and yellow are told apart by nearly everybody; red and green are not.
  return { bold: colours.bold, dim: colours.dim, good: colours.blue, bad: colours.yellow };
}

export const plain: Paint = { bold: (text) => text, dim: (text) => text, good: (text) => text, bad: (text) => text };
