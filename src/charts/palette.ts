/**
 * Colours of the figures. The seven of a series stay apart for people with protanopia, deuteranopia and tritanopia and stand
 * out from their background by 3:1 or more (test/charts/palette.test.ts measures both); after the seventh they repeat, dashed.
 */

export type Theme = "page" | "light" | "dark";

interface Palette {
  background: string;
  ink: string;
  dim: string;
  grid: string;
  series: readonly string[];
}

export const palettes: Record<"light" | "dark", Palette> = {
  light: {
    background: "#ffffff",
    ink: "#1c1e21",
    dim: "#5d636b",
    grid: "#d9dce0",
    series: ["#155e80", "#dd7010", "#2a9d7c", "#e552cf", "#57510a", "#5b1fd6", "#6b2737"],
  },
  dark: {
    background: "#16181d",
    ink: "#eceef1",
    dim: "#a5abb4",
    grid: "#3a3f47",
    series: ["#7aa2ff", "#b9701f", "#3fe6a4", "#d6337f", "#d2cf2a", "#8f4dff", "#9fcbd6"],
  },
};

/** What marks are drawn in; each stands for the variable that `themeVariables` sets on the figure. */
export const ink = "var(--ink)";
export const dim = "var(--dim)";
export const grid = "var(--grid)";
export const background = "var(--plot-background)";
export const accent = "var(--series-0)";
export const worse = "var(--series-1)";

/** The colour of the series at `index`, and the dashes that tell it from the one seven places before. */
export function seriesColour(index: number): string {
  return `var(--series-${index % palettes.light.series.length})`;
}

export function seriesDashes(index: number): string {
  return index < palettes.light.series.length ? "none" : "5 3";
}

/**
 * The variables behind the colours, as inline style. With "page", the default, light or dark follows the page's `color-scheme`,
 * and a page may set `--espalier-ink`, `--espalier-dim`, `--espalier-grid`, `--espalier-background` and `--espalier-series-0` to
 * `-6` to colours of its own.
 */
export function themeVariables(theme: Theme): Record<string, string> {
  const { light, dark } = palettes;
  const pick = (name: string, inLight: string, inDark: string) => {
    if (theme === "page") return `var(--espalier-${name}, light-dark(${inLight}, ${inDark}))`;
    return theme === "light" ? inLight : inDark;
  };
  return {
    "--ink": pick("ink", light.ink, dark.ink),
    "--dim": pick("dim", light.dim, dark.dim),
    "--grid": pick("grid", light.grid, dark.grid),
    "--plot-background": pick("background", light.background, dark.background),
    ...Object.fromEntries(
      light.series.map((colour, index) => [`--series-${index}`, pick(`series-${index}`, colour, dark.series[index]!)]),
    ),
  };
}
