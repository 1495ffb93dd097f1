/** The frame that all figures share: size, type, colours, and what a screen reader is told. */
import * as Plot from "@observablehq/plot";
import { type Theme, themeVariables } from "./palette.js";

export interface FigureOptions {
  /** Where elements are made; default: the page's own. Outside a browser, one of linkedom, happy-dom or jsdom. */
  document?: Document | undefined;
  /** In pixels; default: 640. Figures are laid out for 320 and more. */
  width?: number | undefined;
  /** "page", the default, follows the page's `color-scheme`. */
  theme?: Theme | undefined;
}

export interface Frame extends Omit<Plot.PlotOptions, "width" | "document" | "style"> {
  /** What the figure is, in a few words: its accessible name. */
  name: string;
  /** What it shows, in a sentence or two: its accessible description. */
  says: string;
}

export const defaultWidth = 640;

/** Draws the marks of `frame` into an SVG element. */
export function drawFigure({ name, says, ...plot }: Frame, options: FigureOptions): SVGSVGElement {
  const { document, width = defaultWidth, theme = "page" } = options;
  const svg = Plot.plot({
    ...plot,
    width,
    figure: false,
    ariaLabel: name,
    ariaDescription: says,
    ...(document === undefined ? {} : { document }),
  } as Plot.PlotOptions) as SVGSVGElement;
  const style = { ...themeVariables(theme), color: "var(--ink)", background: "none", "font-size": "12px" };
  // Plot's own `style` option assigns properties, which leaves variables out in a browser.
  const rules = Object.entries(style).map(([property, value]) => `${property}: ${value}`);
  svg.setAttribute("style", rules.join("; "));
  svg.setAttribute("role", "img");
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return svg;
}

/** A figure for data that hold nothing to draw: it says so. */
export function emptyFigure(name: string, why: string, options: FigureOptions): SVGSVGElement {
  return drawFigure(
    {
      name,
      says: why,
      height: 48,
      margin: 0,
      axis: null,
      marks: [Plot.text([why], { frameAnchor: "left", textAnchor: "start", fill: "var(--dim)", lineWidth: 60 })],
    },
    options,
  );
}
