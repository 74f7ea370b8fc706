/**
 * Which maps of a page are drawn. A browser gives about 16 drawing contexts to a page and then takes the oldest away
 * without a word; so beyond a handful, maps out of view give theirs back, leave their last picture, and come back when
 * they are seen or changed.
 */

import type { CustomMessage } from "../protocol";
import { listen, MESSAGES, type Model, TRAITS } from "../protocol";
import type { StatusLine } from "./status";

/** Contexts for our maps; the others are for whatever else the page draws. */
const LIMIT = 8;
const PATIENCE = 20_000; // ms that a map may take to be drawn once, before it has to make room for another
const LOSSES = 3; // in a row, after which a map that the browser stops is not drawn again unasked
const PAUSED = "paused, click to go on: this page has more maps than a browser draws at once";
const LOST = "the browser stopped drawing this map; click to try again";
/** What a map that rests would not see. */
const NEWS = [TRAITS.layers, TRAITS.layerStates, TRAITS.params, TRAITS.basemap, TRAITS.bounds, TRAITS.center];
const NO_NEWS = new Set<string>([MESSAGES.answer, MESSAGES.wait]);

/** Where a map looked. */
export interface Place {
  center: [number, number];
  zoom: number;
}

/** A map that is drawn. */
export interface Drawn {
  retry(): void;
  /** The last picture, and where the map looked. */
  freeze(): { picture: HTMLCanvasElement; place: Place };
  dispose(): void;
}

export interface StageContext {
  model: Model;
  host: HTMLElement;
  status: StatusLine;
}

export interface Start {
  /** Where the map looked before. */
  place: Place | null;
  /** To be called if the browser takes the context. */
  lost: () => void;
  /** The widget's, which says once more what a map that rested could not hear. */
  model: Model;
}

type Heard = [content: CustomMessage, ...rest: unknown[]];

/** All maps of the page that have a context, the one that got it first comes first. */
export class Stage {
  readonly #drawn = new Set<Actor>();
  #turn: Promise<void> = Promise.resolve();

  constructor(private readonly limit = LIMIT) {}

  get size(): number {
    return this.#drawn.size;
  }

  /** Gives a map its context, now where there is one, else as soon as another map has given its own back. */
  enter(actor: Actor): void {
    if (this.#drawn.has(actor)) return;
    if (this.#drawn.size < this.limit) {
      this.#drawn.add(actor);
      actor.begin();
      return;
    }
    this.#turn = this.#turn.then(() => this.#replace(actor));
  }

  leave(actor: Actor): void {
    this.#drawn.delete(actor);
  }

  async #replace(actor: Actor): Promise<void> {
    if (!actor.isWanted || this.#drawn.has(actor)) return;
    while (this.#drawn.size >= this.limit) {
      const [oldest] = [...this.#drawn].sort((a, b) => Number(a.isInView) - Number(b.isInView));
      if (!oldest) break;
      await oldest.isIdle();
      if (!this.#drawn.delete(oldest)) continue; // it went by itself
      oldest.rest();
    }
    this.#drawn.add(actor);
    actor.begin();
  }
}

/** One map's part in that. */
export class Actor {
  readonly #end = new AbortController();
  readonly #frozen = document.createElement("div");
  #drawn: Drawn | null = null;
  #place: Place | null = null;
  #losses = 0;
  /** Messages that came while it rested. */
  #unheard: Heard[] = [];
  isInView = true;

  constructor(
    private readonly context: StageContext,
    private readonly draw: (start: Start) => Drawn,
    private readonly stage: Stage = pageStage(),
  ) {
    const { host, model } = context;
    this.#frozen.className = "fused-canvas fused-frozen";
    this.#frozen.addEventListener("click", () => this.#ask());
    const observer = new IntersectionObserver((entries) => this.#see(entries.at(-1)?.isIntersecting ?? false));
    observer.observe(host);
    const signal = this.#end.signal;
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
    for (const trait of NEWS) listen(model, `change:${trait}`, () => this.stage.enter(this), signal);
    listen(model, "msg:custom", (...heard: Heard) => this.#hear(heard), signal);
    stage.enter(this);
  }

  /** Whether a context would still be used. */
  get isWanted(): boolean {
    return !this.#end.signal.aborted && this.#drawn === null;
  }

  retry(): void {
    if (this.#drawn) this.#drawn.retry();
    else this.#ask();
  }

  dispose(): void {
    this.#end.abort();
    this.stage.leave(this);
    this.#drawn?.dispose();
    this.#drawn = null;
    this.#frozen.remove();
  }

  /** The stage has a context for it. */
  begin(): void {
    const { host, status } = this.context;
    status.update({ note: "", idle: false });
    host.dataset.resting = "false";
    const model = repeating(this.context.model, this.#unheard);
    this.#drawn = this.draw({ place: this.#place, lost: () => this.#lose(), model });
    // Its last picture lies below until there is another.
    if (this.#frozen.isConnected) host.prepend(this.#frozen);
    this.isIdle().then(() => {
      this.#unheard = [];
      if (this.#drawn) this.#frozen.remove();
    });
  }

  /** It has to give its context back. */
  rest(): void {
    const drawn = this.#drawn;
    if (!drawn) return;
    const { picture, place } = drawn.freeze();
    this.#place = place;
    this.#frozen.replaceChildren(picture);
    this.#stop(PAUSED);
  }

  /** Resolves when all of it has been drawn, or took too long, or it is gone. */
  isIdle(): Promise<void> {
    const { host } = this.context;
    return new Promise((resolve) => {
      const finish = () => {
        observer.disconnect();
        clearTimeout(timer);
        resolve();
      };
      const look = () => (host.dataset.idle === "true" || this.#end.signal.aborted) && finish();
      const observer = new MutationObserver(look);
      const timer = setTimeout(finish, PATIENCE);
      observer.observe(host, { attributes: true, attributeFilter: ["data-idle"] });
      this.#end.signal.addEventListener("abort", finish, { once: true });
      look();
    });
  }

  /** Too many maps of others, or the graphics driver started anew. */
  #lose(): void {
    this.#losses += 1;
    this.stage.leave(this);
    this.#stop(LOST);
    if (this.isInView && this.#losses < LOSSES) setTimeout(() => this.isWanted && this.stage.enter(this), 500);
  }

  #stop(note: string): void {
    const { host, status } = this.context;
    this.#drawn?.dispose();
    this.#drawn = null;
    if (this.#end.signal.aborted) return;
    host.prepend(this.#frozen);
    host.dataset.resting = "true";
    status.update({ note, idle: true });
  }

  #hear(heard: Heard): void {
    if (this.#drawn || NO_NEWS.has(heard[0].kind)) return;
    this.#unheard.push(heard);
    this.stage.enter(this);
  }

  #ask(): void {
    this.#losses = 0;
    this.stage.enter(this);
  }

  #see(isInView: boolean): void {
    const hasComeIntoView = isInView && !this.isInView;
    this.isInView = isInView;
    if (hasComeIntoView && !this.#drawn) this.#ask();
  }
}

/** A model that tells those who begin to listen what has come before, as well. */
function repeating(model: Model, unheard: readonly Heard[]): Model {
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    off: (event, callback) => model.off(event, callback),
    send: (content, ...rest) => model.send(content, ...rest),
    on: (event, callback) => {
      model.on(event, callback);
      if (event === "msg:custom") for (const heard of unheard) queueMicrotask(() => callback(...heard));
    },
  };
}

declare global {
  /** For maps of all versions on a page. */
  var __fusedStage: Stage | undefined;
}

function pageStage(): Stage {
  globalThis.__fusedStage ??= new Stage();
  return globalThis.__fusedStage;
}
