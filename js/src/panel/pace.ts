/**
 * How often a slider that moves may ask for new tiles.
 *
 * The first value goes at once. After it, while the server has not begun to answer, at most one value goes every 100 ms,
 * as each stops what the one before asked for; once it answers, the next goes with the next frame. The last always goes.
 */

const GAP = 100; // ms
const FRAME = 16; // ms

export class Pace<Value> {
  #pending: { value: Value } | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly apply: (value: Value) => void,
    /** Whether the server has begun to answer what was applied last. */
    private readonly hasAnswered: () => boolean,
    private readonly now: () => number = () => performance.now(),
  ) {}

  push(value: Value): void {
    this.#pending = { value };
    this.#plan();
  }

  /** To be called when `hasAnswered` may have changed. */
  answered(): void {
    if (this.#pending) this.#plan();
  }

  /** Applies what waits; for when the control is let go. */
  flush(): void {
    this.#stop();
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = null;
    this.#last = this.now();
    this.apply(pending.value);
  }

  clear(): void {
    this.#stop();
    this.#pending = null;
  }

  #plan(): void {
    this.#stop();
    const wait = this.#last + (this.hasAnswered() ? FRAME : GAP) - this.now();
    if (wait <= 0) this.flush();
    else this.#timer = setTimeout(() => this.flush(), wait);
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
