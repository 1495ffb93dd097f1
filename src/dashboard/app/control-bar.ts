/** Stop and resume, for who has the token from the terminal. */
import { html, nothing, type TemplateResult } from "lit-html";
import { createRef, ref } from "lit-html/directives/ref.js";
import type { RunState } from "./run-state.js";
import { checkToken, command, Refused } from "./server.js";

/** The token stays in this tab and is forgotten with it. */
const tokenPlace = "espalier-token";

export class ControlBar {
  readonly #run: RunState;
  readonly #update: () => void;
  readonly #dialog = createRef<HTMLDialogElement>();
  #wanted: "stop" | "resume" = "stop";
  #said = "";
  #wrongToken = false;

  constructor(run: RunState, update: () => void) {
    this.#run = run;
    this.#update = update;
  }

  render(): TemplateResult {
    const { state, resume } = this.#run.detail!;
    const isStarting = resume?.state === "starting" && state !== "running";
    const canResume = (state === "interrupted" || state === "failed") && !isStarting;
    return html`
      ${state === "running" ? html`<button @click=${() => this.#ask("stop")}>Stop</button>` : nothing}
      ${canResume ? html`<button @click=${() => this.#ask("resume")}>Resume</button>` : nothing}
      <span role="status" class="quiet">${isStarting ? "starting\u2026 Python takes a while" : this.#said}</span>
      ${resume?.state === "failed" ? html`<span class="trouble" role="alert">could not be resumed: ${resume.message}</span>` : nothing}
      <dialog ${ref(this.#dialog)} aria-label="token">
        <form method="dialog" @submit=${this.#enter}>
          <label>Token, from the terminal that runs espalier dashboard
            <input name="token" type="password" autocomplete="off" required />
          </label>
          <p class="trouble" role="alert">${this.#wrongToken ? "That is not the token." : ""}</p>
          <button type="submit">${this.#wanted === "stop" ? "Stop the run" : "Resume the run"}</button>
          <button type="button" @click=${() => this.#dialog.value!.close()}>Cancel</button>
        </form>
      </dialog>`;
  }

  #ask(what: "stop" | "resume"): void {
    this.#wanted = what;
    const token = sessionStorage.getItem(tokenPlace);
    if (token === null) this.#open(false);
    else void this.#send(token);
  }

  #open(wrongToken: boolean): void {
    this.#wrongToken = wrongToken;
    this.#update();
    if (!this.#dialog.value!.open) this.#dialog.value!.showModal();
  }

  readonly #enter = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const input = (event.target as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
    try {
      await checkToken(input.value);
    } catch {
      return this.#open(true);
    }
    sessionStorage.setItem(tokenPlace, input.value);
    await this.#send(input.value);
    input.value = "";
    this.#wrongToken = false;
    this.#dialog.value!.close();
  };

  async #send(token: string): Promise<void> {
    try {
      await command(this.#run.name, this.#wanted, token);
      this.#said = this.#wanted === "stop" ? "asked to stop after the step in hand" : "";
      if (this.#wanted === "resume") this.#run.refresh();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        // The dashboard was started anew, with another token.
        sessionStorage.removeItem(tokenPlace);
        return this.#open(true);
      }
      this.#said = error instanceof Error ? error.message : String(error);
    }
    this.#update();
  }
}
