/** Data that Python holds for layers: asked for by message, by digest, and answered with a buffer. */

import { type CustomMessage, listen, MESSAGES, type Model } from "../protocol";

const WAITS = [20_000, 60_000, 180_000]; // ms; a busy kernel answers late, and messages get lost

export class Contents {
  readonly #waiting = new Map<string, (bytes: ArrayBuffer | null) => void>();

  constructor(
    private readonly model: Model,
    signal: AbortSignal,
  ) {
    listen(model, "msg:custom", (message: CustomMessage, buffers: DataView[]) => this.#take(message, buffers), signal);
    signal.addEventListener("abort", () => this.clear(), { once: true });
  }

  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  /** The bytes of that digest; null where nobody answers, or the map has gone. */
  ask(digest: string): Promise<ArrayBuffer | null> {
    return new Promise((resolve) => {
      const others = this.#waiting.get(digest);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const send = (attempt: number) => {
        this.model.send({ kind: MESSAGES.data, data: digest });
        timer = setTimeout(() => (attempt + 1 < WAITS.length ? send(attempt + 1) : settle(null)), WAITS[attempt]);
      };
      const settle = (bytes: ArrayBuffer | null) => {
        clearTimeout(timer);
        this.#waiting.delete(digest);
        resolve(bytes);
        others?.(bytes);
      };
      this.#waiting.set(digest, settle);
      send(0);
    });
  }

  clear(): void {
    for (const settle of [...this.#waiting.values()]) settle(null);
  }

  #take(message: CustomMessage, buffers: readonly DataView[]): void {
    const [buffer] = buffers ?? [];
    if (message.kind !== MESSAGES.data || !message.data || !buffer) return;
    const bytes = buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) as ArrayBuffer;
    this.#waiting.get(message.data)?.(bytes);
  }
}
