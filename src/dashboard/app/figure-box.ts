/** `<figure-box>`: a figure as wide as its column, drawn anew only where its data or its width changed. */
import type { FigureOptions } from "../../charts/index.js";

export interface Drawing {
  draw: (options: FigureOptions) => SVGSVGElement;
  /** What `draw` draws from: it is called again when one of these is another value than before. */
  from: readonly unknown[];
}

class FigureBox extends HTMLElement {
  #drawing: Drawing | undefined;
  #drawnWidth = 0;
  readonly #observer = new ResizeObserver(() => this.#draw());

  set drawing(drawing: Drawing) {
    const before = this.#drawing?.from;
    const isSame = before?.length === drawing.from.length && drawing.from.every((value, at) => value === before[at]);
    this.#drawing = drawing;
    if (!isSame) this.#drawnWidth = 0;
    this.#draw();
  }

  connectedCallback(): void {
    this.#observer.observe(this);
  }

  disconnectedCallback(): void {
    this.#observer.disconnect();
  }

  #draw(): void {
    const width = Math.floor(this.clientWidth);
    if (this.#drawing === undefined || width === 0 || width === this.#drawnWidth) return;
    this.#drawnWidth = width;
    this.replaceChildren(this.#drawing.draw({ width }));
  }
}

customElements.define("figure-box", FigureBox);
