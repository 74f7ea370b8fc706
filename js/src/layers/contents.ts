/** Data that Python holds for layers: asked for by message, by name, and answered with a buffer. */

import { type CustomMessage, listen, MESSAGES, type Model } from "../protocol";

const WAITS = [20_000, 60_000, 180_000]; // ms; a busy kernel answers late, and messages get lost

interface Question {
  answer: Promise<ArrayBuffer | null>;
  settle: (bytes: ArrayBuffer | null) => void;
}

export class Contents {
  readonly #waiting = new Map<string, Question>();

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

  /** The bytes of that name; null where Python has none, nobody answers, or the map has gone. */
  ask(name: string): Promise<ArrayBuffer | null> {
    const question = this.#waiting.get(name) ?? this.#pose(name);
    return question.answer;
  }

  clear(): void {
    for (const { settle } of [...this.#waiting.values()]) settle(null);
  }

  #pose(name: string): Question {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let resolve: (bytes: ArrayBuffer | null) => void;
    const answer = new Promise<ArrayBuffer | null>((done) => {
      resolve = done;
    });
    const settle = (bytes: ArrayBuffer | null) => {
      clearTimeout(timer);
      this.#waiting.delete(name);
      resolve(bytes);
    };
    const send = (attempt: number) => {
      this.model.send({ kind: MESSAGES.data, data: name });
      timer = setTimeout(() => (attempt + 1 < WAITS.length ? send(attempt + 1) : settle(null)), WAITS[attempt]);
    };
    const question = { answer, settle };
    this.#waiting.set(name, question);
    send(0);
    return question;
  }

  #take(message: CustomMessage, buffers: readonly DataView[]): void {
    if (message.kind !== MESSAGES.data || !message.data) return;
    const [buffer] = buffers ?? [];
    const bytes = buffer?.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength) ?? null;
    this.#waiting.get(message.data)?.settle(bytes as ArrayBuffer | null);
  }
}
