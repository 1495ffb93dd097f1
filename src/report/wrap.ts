/** What the terminal shows side by side, in columns. */
export const terminalWidth = 80;

/** Lines of at most 80 columns, broken between words. */
export function wrap(text: string): string {
  return text.replace(new RegExp(`(.{1,${terminalWidth}})(?:\\s+|$)`, "g"), "$1\n").trimEnd();
}
