import type { CustomMessage, Model } from "../src/protocol";

/** anywidget's model without a kernel behind it. */
export class StubModel implements Model {
  readonly sent: CustomMessage[] = [];
  saves = 0;
  // biome-ignore lint/suspicious/noExplicitAny: as in Model
  readonly #callbacks = new Map<string, Set<(...args: any[]) => void>>();

  constructor(readonly state: Record<string, unknown> = {}) {}

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    this.state[name] = value;
    this.emit(`change:${name}`);
  }

  save_changes(): void {
    this.saves += 1;
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Model
  on(event: string, callback: (...args: any[]) => void): void {
    const callbacks = this.#callbacks.get(event) ?? new Set();
    this.#callbacks.set(event, callbacks.add(callback));
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Model
  off(event: string, callback: (...args: any[]) => void): void {
    this.#callbacks.get(event)?.delete(callback);
  }

  send(content: CustomMessage): void {
    this.sent.push(content);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const callback of [...(this.#callbacks.get(event) ?? [])]) callback(...values);
  }

  listeners(event: string): number {
    return this.#callbacks.get(event)?.size ?? 0;
  }
}

/** A promise and what settles it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
