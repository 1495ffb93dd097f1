import { parseHTML } from "linkedom";

/** A document outside a browser. */
export const document = parseHTML("<!doctype html><html><body></body></html>").document as unknown as Document;

/** An element's text with a line a tag, so that a stored picture can be compared line by line. */
export function asText(svg: SVGSVGElement): string {
  return `${svg.outerHTML.replaceAll("><", ">\n<")}\n`;
}
