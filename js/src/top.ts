/**
 * The `_esm` of `%fused_top`: draws what the kernel says, once a second, and stops runs.
 *
 * The twin of the traits and messages is fused_jupyter/widgets/_top.py; tests/widgets/test_top.py compares them.
 */

import { connect, readPage, type Server } from "./link/server";
import { listen, type Model } from "./protocol";
import topCss from "./top.css?raw";

/** Names of the synced traits, all written by Python. */
export const TRAITS = { state: "state", kernelId: "kernel_id" } as const;

/** Values of `kind` in custom messages, all from the page. */
export const MESSAGES = {
  /** Somebody looks; without it the kernel stops looking too. */
  here: "here",
  /** This view was closed. */
  gone: "gone",
  /** Stop a run, by way of the kernel. */
  stop: "stop",
} as const;

const HERE_MILLISECONDS = 5000;
const STALE_MILLISECONDS = 5000;

/** A table: its title, the names of its columns, and its rows; everything is text already. */
export interface Table {
  title: string;
  columns: string[];
  rows: Row[];
}

export interface Row {
  cells: string[];
  /** The run that a button in this row stops; empty where there is none. */
  run: string;
}

export interface State {
  summary: string;
  tables: Table[];
}

/** One view of a model. */
export class TopView {
  readonly #end = new AbortController();
  readonly #host = document.createElement("div");
  readonly #summary = document.createElement("p");
  readonly #body = document.createElement("div");
  readonly #note = document.createElement("p");
  readonly #stopping = new Set<string>();
  #heardAt = Date.now();
  #server: Promise<Server | null> | null = null;

  constructor(
    private readonly model: Model,
    parent: HTMLElement,
  ) {
    this.#host.className = "fused-top";
    this.#note.setAttribute("role", "status");
    const style = document.createElement("style");
    style.textContent = topCss;
    this.#host.append(style, this.#summary, this.#body, this.#note);
    parent.append(this.#host);
    const timers = [
      setInterval(() => this.model.send({ kind: MESSAGES.here }), HERE_MILLISECONDS),
      setInterval(() => this.#tellAge(), 1000),
    ];
    this.#end.signal.addEventListener("abort", () => timers.map(clearInterval), { once: true });
    listen(model, `change:${TRAITS.state}`, () => this.#hear(), this.#end.signal);
    this.model.send({ kind: MESSAGES.here });
    this.#draw();
  }

  dispose(): void {
    this.#end.abort();
    this.model.send({ kind: MESSAGES.gone });
    this.#host.remove();
  }

  #hear(): void {
    this.#heardAt = Date.now();
    this.#tellAge();
    this.#draw();
  }

  #tellAge(): void {
    const age = Date.now() - this.#heardAt;
    this.#host.dataset.stale = String(age > STALE_MILLISECONDS);
    this.#note.textContent = age > STALE_MILLISECONDS ? `no news for ${Math.round(age / 1000)} s` : "";
  }

  #draw(): void {
    const { summary, tables } = this.model.get(TRAITS.state) as State;
    this.#summary.textContent = summary;
    const wide = tables.filter(({ rows }) => rows.length > 0);
    this.#body.replaceChildren(...wide.map((table) => this.#table(table)));
  }

  #table({ title, columns, rows }: Table): HTMLTableElement {
    const table = document.createElement("table");
    table.createCaption().textContent = title;
    const head = table.createTHead().insertRow();
    for (const column of columns) {
      const cell = document.createElement("th");
      cell.textContent = column;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const { cells, run } of rows) {
      const row = body.insertRow();
      for (const text of cells) row.insertCell().textContent = text;
      if (run) row.insertCell().append(this.#button(run));
    }
    return table;
  }

  #button(run: string): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = this.#stopping.has(run);
    button.textContent = button.disabled ? "stopping" : "stop";
    button.setAttribute("aria-label", `stop run ${run}`);
    button.addEventListener("click", () => {
      this.#stopping.add(run);
      this.#draw();
      this.#stop(run);
    });
    return button;
  }

  /** By way of the server, as the kernel hears nothing while a cell runs; by way of the kernel where there is none. */
  async #stop(run: string): Promise<void> {
    try {
      this.#server ??= connect("", String(this.model.get(TRAITS.kernelId)), readPage(), this.#end.signal);
      const server = await this.#server;
      const response = await server?.fetch(`${server.root}fused/runs/${run}`, { method: "DELETE" });
      if (response?.ok || response?.status === 404) return; // 404: it has just ended
    } catch {
      this.#server = null;
    }
    this.model.send({ kind: MESSAGES.stop, run });
  }
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = new TopView(model, el);
  return () => view.dispose();
}

export default { render };
