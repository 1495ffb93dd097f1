/** espalier doctor: what is found, what is missing, and the command that mends it. */
import { examine } from "../provision/examine.js";
import { paintFor } from "../report/paint.js";
import { type CommonOptions, print, printJson } from "./output.js";

/** Exit code 0 where a run has all that it needs. */
export async function doctorCommand(options: CommonOptions): Promise<number> {
  const findings = await examine();
  const healthy = findings.every((finding) => finding.state !== "fail");
  if (options.json) printJson({ healthy, findings });
  else {
    const paint = paintFor(process.stdout);
    const marks = { ok: paint.good("ok  "), warn: paint.bad("warn"), fail: paint.bold("FAIL") };
    for (const { what, state, found, mend } of findings) {
      print(`${marks[state]}  ${what.padEnd(16)} ${found}${mend === null ? "" : `\n      mend: ${mend}`}`);
    }
  }
  return healthy ? 0 : 1;
}
