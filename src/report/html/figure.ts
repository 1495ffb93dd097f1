/** A figure of the report: drawn for a wide and for a narrow page, of which the style sheet shows one. */
import { html, raw } from "hono/html";
import { parseHTML } from "linkedom";
import type { FigureOptions } from "../../charts/index.js";

export type Html = ReturnType<typeof html>;

const widths = { wide: 540, narrow: 330 } as const;
const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as { document: Document };

/** @param reading how to read it, in a sentence */
export function figure(title: string, reading: string, draw: (options: FigureOptions) => SVGSVGElement): Html {
  const drawn = Object.entries(widths).map(
    ([name, width]) => html`<div class="${name}">${raw(draw({ document, width }).outerHTML)}</div>`,
  );
  return html`<figure><figcaption><b>${title}</b> ${reading}</figcaption>${drawn}</figure>`;
}
