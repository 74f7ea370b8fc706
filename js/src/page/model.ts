/** A model without a kernel: for pages of their own, which hold what a map shows. */

import { type CustomMessage, MESSAGES, type Model } from "../protocol";

// biome-ignore lint/suspicious/noExplicitAny: as in Model
type Callback = (...args: any[]) => void;

/** Data that Python holds for layers, by digest. */
export type Contents = (digest: string) => ArrayBuffer | null;

export class PlainModel implements Model {
  readonly #callbacks = new Map<string, Set<Callback>>();

  constructor(
    private readonly state: Record<string, unknown>,
    private readonly contents: Contents = () => null,
  ) {}

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    this.#emit(`change:${name}`);
  }

  /** Nobody is there to be told. */
  save_changes(): void {}

  on(event: string, callback: Callback): void {
    const callbacks = this.#callbacks.get(event) ?? new Set();
    this.#callbacks.set(event, callbacks.add(callback));
  }

  off(event: string, callback: Callback): void {
    this.#callbacks.get(event)?.delete(callback);
  }

  /** Layers get the data that the page holds for them; all else is for a kernel. */
  send(content: CustomMessage): void {
    if (content.kind !== MESSAGES.data || !content.data) return;
    const bytes = this.contents(content.data);
    // As from a kernel: after the turn in which it was asked for.
    queueMicrotask(() => this.#emit("msg:custom", content, bytes ? [new DataView(bytes)] : []));
  }

  /** The kernel says something. */
  tell(content: CustomMessage): void {
    this.#emit("msg:custom", content, []);
  }

  #emit(event: string, ...values: unknown[]): void {
    for (const callback of [...(this.#callbacks.get(event) ?? [])]) callback(...values);
  }
}
