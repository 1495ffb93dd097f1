/** The page: the list of runs, or one run, by its address. */
import "./figure-box.js";
import { html, render } from "lit-html";
import { ListView } from "./list-view.js";
import { RunView } from "./run-view.js";

const root = document.querySelector<HTMLElement>("#page")!;
const themes = ["system", "light", "dark"] as const;
const themePlace = "espalier-theme";

let view: ListView | RunView | undefined;
let isWaiting = false;

/** Draws the page anew before the next picture of the screen, once for all that changed until then. */
function update(): void {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    draw();
  });
}

function draw(): void {
  if (view === undefined) return;
  document.title = `${view.title} \u00b7 Espalier`;
  const theme = localStorage.getItem(themePlace) ?? "system";
  document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
  render(
    html`<a class="skip" href="#main" @click=${skip}>To the content</a>
      <header>
        <a class="home" href="#/">Espalier</a>
        <label>Colours
          <select @change=${chooseTheme}>
            ${themes.map((name) => html`<option ?selected=${name === theme}>${name}</option>`)}
          </select>
        </label>
      </header>
      ${view.render()}`,
    root,
  );
}

function chooseTheme(event: Event): void {
  localStorage.setItem(themePlace, (event.target as HTMLSelectElement).value);
  draw();
}

function skip(event: Event): void {
  event.preventDefault();
  const main = document.querySelector<HTMLElement>("main")!;
  main.tabIndex = -1;
  main.focus();
}

function route(): void {
  view?.close();
  const [, kind, name] = location.hash.split("/");
  view = kind === "run" && name !== undefined ? new RunView(decodeURIComponent(name), update) : new ListView(update);
  // What lit-html knows of one view's elements is of no use to the next.
  render(html``, root);
  draw();
  scrollTo(0, 0);
}

addEventListener("hashchange", route);
route();
