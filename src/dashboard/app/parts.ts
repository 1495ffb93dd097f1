/** Small parts that several views share. */
import { html, nothing, type TemplateResult } from "lit-html";
import type { FigureOptions } from "../../charts/index.js";
import type { RunState } from "../../runs/read.js";
import type { Drawing } from "./figure-box.js";

const marks: Record<RunState, string> = {
  running: "\u25b6",
  done: "\u2713",
  failed: "\u2717",
  interrupted: "\u2016",
  damaged: "!",
  newer: "?",
};

/** The state in a word, with a mark that does not depend on colour. */
export function stateBadge(state: RunState): TemplateResult {
  return html`<span class="state ${state}"><span aria-hidden="true">${marks[state]}</span> ${state}</span>`;
}

/** A figure under its title. @param from what `draw` draws from */
export function figure(
  title: string,
  reading: string,
  from: readonly unknown[],
  draw: (options: FigureOptions) => SVGSVGElement,
): TemplateResult {
  const drawing: Drawing = { draw, from };
  return html`<figure>
    <figcaption><b>${title}</b> ${reading}</figcaption>
    <figure-box .drawing=${drawing}></figure-box>
  </figure>`;
}

export function progressBar(done: number, label: string): TemplateResult {
  const percent = Math.floor(100 * done);
  return html`<div class="progress" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}>
    <div style="width: ${percent}%"></div>
  </div>`;
}

/** "25 Nov, 10:01" in the reader's own way; nothing where the time is not known. */
export function moment(milliseconds: number | null): TemplateResult | typeof nothing {
  if (milliseconds === null) return nothing;
  const date = new Date(milliseconds);
  const text = date.toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  return html`<time datetime=${date.toISOString()} title=${date.toLocaleString()}>${text}</time>`;
}

export function size(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} B`;
}
