/**
 * Goes from value to value, as a film.
 *
 * A frame is shown when its tiles in view are there: they are fetched ahead, one frame and no more, so that the player
 * is never faster than the server, and a frame never comes in pieces. Whoever moves the control goes on from there.
 */

import type { ControlSpec, Params } from "../protocol";
import type { HeldTiles } from "../tiles/feed";
import type { View } from "../view/view";
import { indexOf, optionOf } from "./rows";

const SPEEDS = [0.25, 0.5, 1, 2, 4];
const LONGEST_SETTLING = 10_000; // ms; a map in a hidden tab never draws
const DAY = 86_400_000; // ms

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zm5 0h3v11H9z",
  back: "M12 2.5v11L5.5 8zM3.5 2.5h1.8v11H3.5z",
  forward: "M4 2.5v11L10.5 8zm6.7 0h1.8v11h-1.8z",
  loop: "M8 2a6 6 0 0 1 5.7 4.2h-1.9A4.2 4.2 0 1 0 12 9.5h1.8A6 6 0 1 1 8 2zm3 0 3 2.5-3 2.5z",
} as const;

/** What the player needs of the panel. */
export interface Film {
  value(): unknown;
  /** All params, with this value. */
  params(value: unknown): Params;
  show(value: unknown): void;
}

/** The value after, or before; undefined at the end. */
export function neighbour(control: ControlSpec, value: unknown, direction: 1 | -1, loop: boolean): unknown {
  if (control.options) {
    const values = control.options.map(([, option]) => option);
    const next = values[indexOf(control, value) + direction];
    return next ?? (loop ? values.at(direction > 0 ? 0 : -1) : undefined);
  }
  if (control.kind === "date") return otherDay(String(value ?? ""), direction * (control.step ?? 1));
  return otherNumber(control, value, direction, loop);
}

function otherNumber(control: ControlSpec, value: unknown, direction: 1 | -1, loop: boolean): number | undefined {
  const [min, max] = [control.min ?? Number.NEGATIVE_INFINITY, control.max ?? Number.POSITIVE_INFINITY];
  const next = Number((Number(value ?? control.min ?? 0) + direction * (control.step ?? 1)).toPrecision(12));
  if (next >= min && next <= max) return next;
  const start = direction > 0 ? min : max;
  return loop && Number.isFinite(start) ? start : undefined;
}

/** Of a date without time zone, so that no clock change is in the way. */
function otherDay(text: string, days: number): string | undefined {
  const moment = Date.parse(text.length > 10 ? `${text}Z` : text);
  if (Number.isNaN(moment)) return undefined;
  return new Date(moment + days * DAY).toISOString().slice(0, text.length);
}

/** Whoever makes it stops it. */
export class Player {
  readonly element = document.createElement("div");
  readonly #play = button("play", "Play");
  readonly #loop = button("loop", "Start again at the end");
  readonly #speed = document.createElement("select");
  #turn: AbortController | null = null;
  /** The value that this player has set itself, as JSON. */
  #own = "";

  constructor(
    private readonly control: ControlSpec,
    private readonly view: Pick<View, "map" | "feed" | "layers" | "signal">,
    private readonly film: Film,
  ) {
    const name = control.label || control.name;
    this.element.className = "fused-player";
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", `Player of ${name}`);
    this.#play.addEventListener("click", () => (this.isPlaying ? this.stop() : this.start()));
    this.#loop.addEventListener("click", () => this.#setLoop(!this.#isLooping));
    this.#speed.setAttribute("aria-label", "Speed");
    this.#speed.append(...SPEEDS.map((speed) => optionOf(`${speed}×`, String(speed))));
    this.#speed.value = "1";
    this.element.append(this.#step("back", -1), this.#play, this.#step("forward", 1), this.#loop, this.#speed);
    this.#setLoop(control.play?.loop ?? true);
  }

  get isPlaying(): boolean {
    return this.#turn !== null;
  }

  start(): void {
    if (this.isPlaying || this.view.signal.aborted) return;
    // At the end of a film that does not loop, play means from the start.
    if (this.#next(1) === undefined) this.#set(neighbour(this.control, this.film.value(), 1, true));
    this.#face(true);
    void this.#run();
  }

  stop(): void {
    this.#turn?.abort();
    this.#turn = null;
    this.#face(false);
  }

  /** To be called when params changed: what is fetched ahead may be of no use now. */
  moved(): void {
    if (!this.isPlaying || this.#own === JSON.stringify(this.film.params(this.film.value()))) return;
    this.#turn?.abort();
    void this.#run();
  }

  async #run(): Promise<void> {
    const turn = new AbortController();
    this.#turn = turn;
    while (!turn.signal.aborted) {
      const next = this.#next(1);
      if (next === undefined) return this.stop();
      const held = this.#hold(next);
      try {
        await either(Promise.all([held?.ready, wait(this.#seconds * 1000)]), turn.signal);
        if (turn.signal.aborted) return;
        this.#set(next);
        await either(this.#settled(), turn.signal);
      } finally {
        held?.release();
      }
    }
  }

  #set(value: unknown): void {
    this.#own = JSON.stringify(this.film.params(value));
    this.film.show(value);
  }

  #hold(value: unknown): HeldTiles | null {
    const { feed, layers } = this.view;
    return feed && layers ? feed.hold(layers.urlsInView(this.film.params(value))) : null;
  }

  /** When the map has drawn what it was told to. */
  #settled(): Promise<unknown> {
    const { map } = this.view;
    map.triggerRepaint();
    return Promise.race([map.once("idle"), wait(LONGEST_SETTLING)]);
  }

  get #seconds(): number {
    return (this.control.play?.seconds ?? 1) / Number(this.#speed.value || 1);
  }

  get #isLooping(): boolean {
    return this.#loop.getAttribute("aria-pressed") === "true";
  }

  #next(direction: 1 | -1): unknown {
    return neighbour(this.control, this.film.value(), direction, this.#isLooping);
  }

  #step(icon: "back" | "forward", direction: 1 | -1): HTMLButtonElement {
    const step = button(icon, direction > 0 ? "Next" : "Previous");
    step.addEventListener("click", () => {
      this.stop();
      const next = this.#next(direction);
      if (next !== undefined) this.#set(next);
    });
    return step;
  }

  #setLoop(loop: boolean): void {
    this.#loop.setAttribute("aria-pressed", String(loop));
  }

  #face(isPlaying: boolean): void {
    dress(this.#play, isPlaying ? "pause" : "play", isPlaying ? "Pause" : "Play");
  }
}

function button(icon: keyof typeof ICONS, label: string): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  dress(element, icon, label);
  return element;
}

function dress(element: HTMLButtonElement, icon: keyof typeof ICONS, label: string): void {
  element.setAttribute("aria-label", label);
  element.title = label;
  element.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
}

/** Resolves with the promise or when the signal aborts, whichever comes first. */
function either(promise: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  return Promise.race([promise, new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))]);
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
