/** Reads an experiment.json, and says where it is not JSON. */
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import { EspalierError } from "../errors.js";

/** @throws EspalierError ("input") with line and column, both from 1, of the first place that is not JSON */
export function parseJson(file: string, given: string): unknown {
  // Some editors begin a file with a byte order mark.
  const text = given.replace(/^\uFEFF/, "");
  try {
    return JSON.parse(text);
  } catch (cause) {
    // JSON.parse names the position in some of its messages only, and other engines word them differently.
    const errors: ParseError[] = [];
    parse(text, errors, { disallowComments: true });
    const offset = errors[0]?.offset ?? text.length;
    const before = text.slice(0, offset).split("\n");
    throw new EspalierError(
      `${file}:${before.length}:${before.at(-1)!.length + 1}: is not JSON: ${reason(errors[0])}`,
      {
        code: "input",
        mend: "Mend the file at that place.",
        cause,
      },
    );
  }
}

const reasons: Record<string, string> = {
  InvalidSymbol: "this word is not one of JSON's; text stands in double quotes",
  InvalidNumberFormat: "this is not a number as JSON writes them",
  PropertyNameExpected: "a key in double quotes must stand here",
  ValueExpected: "a value must stand here",
  ColonExpected: "a colon must stand here",
  CommaExpected: "a comma must stand here",
  CloseBraceExpected: "a closing } must stand here",
  CloseBracketExpected: "a closing ] must stand here",
  EndOfFileExpected: "the file must end here",
  InvalidCommentToken: "JSON has no comments",
  UnexpectedEndOfComment: "JSON has no comments",
  UnexpectedEndOfString: "this text has no closing quote",
  UnexpectedEndOfNumber: "this number breaks off",
  InvalidUnicode: "\\u must be followed by four hexadecimal digits",
  InvalidEscapeCharacter: "JSON has no such escape",
  InvalidCharacter: "a control character must be escaped, as \\n",
};

function reason(error: ParseError | undefined): string {
  return (error && reasons[printParseErrorCode(error.error)]) ?? "unexpected text";
}
