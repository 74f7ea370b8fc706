/** How far a map has come with the tiles that it wants, and how long that takes. */

export interface Progress {
  /** Tiles asked for since the map last had all, or since new values or new code. */
  wanted: number;
  /** Of these, how many were answered, failures included. */
  done: number;
  /** Of these, how many cost no run. */
  cached: number;
  /** When the first was asked for, in milliseconds of `performance.now()`. */
  started: number;
  /** Milliseconds until the last was there; null while one is missing. */
  took: number | null;
}

const PAUSE = 100; // ms; MapLibre asks in several rounds, and a short pause between them is no end

/** Counts the tiles of one batch after the other. */
export class ProgressCount {
  #progress: Progress = { wanted: 0, done: 0, cached: 0, started: 0, took: 0 };
  #loading = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  get progress(): Progress {
    return { ...this.#progress };
  }

  /** From here on it is about other tiles; those under way are asked for again. */
  restart(): void {
    const took = this.#loading > 0 ? null : 0;
    this.#progress = { wanted: this.#loading, done: 0, cached: 0, started: this.now(), took };
  }

  ask(): void {
    const { started, took } = this.#progress;
    const isNew = took !== null && this.now() - (started + took) > PAUSE;
    if (isNew || this.#progress.wanted === 0) this.restart();
    this.#loading += 1;
    this.#progress.wanted += 1;
    this.#progress.took = null;
  }

  answer(isCached: boolean): void {
    this.#progress.done += 1;
    if (isCached) this.#progress.cached += 1;
    this.#settle();
  }

  /** A tile that nobody wants any more. */
  abandon(): void {
    this.#progress.wanted -= 1;
    this.#settle();
  }

  #settle(): void {
    this.#loading -= 1;
    if (this.#loading === 0) this.#progress.took = this.now() - this.#progress.started;
  }
}
