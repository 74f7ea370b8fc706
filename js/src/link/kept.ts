/** Answers that need not be asked for again: what a browser's cache does for HTTP, for requests that it never sees. */

const SIZE = 32 << 20; // bytes for one map

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer>;
}

interface Kept {
  answer: Answer;
  /** Milliseconds since the epoch until which nobody need be asked. */
  until: number;
}

export class KeptAnswers {
  /** The one used longest ago comes first. */
  readonly #kept = new Map<string, Kept>();
  #size = 0;

  constructor(private readonly limit = SIZE) {}

  /** An answer that still holds. */
  fresh(path: string): Answer | null {
    const kept = this.#kept.get(path);
    if (!kept || kept.until <= Date.now()) return null;
    this.#kept.delete(path);
    this.#kept.set(path, kept);
    return kept.answer;
  }

  /** The ETag of an answer that the kernel may say still holds. */
  etag(path: string): string | null {
    return this.#kept.get(path)?.answer.headers.ETag ?? null;
  }

  /** Keeps a new answer if it may be; gives the one that was kept where the new one says that it still holds. */
  settle(path: string, answer: Answer): Answer {
    const old = this.#kept.get(path)?.answer;
    const whole = answer.status === 304 && old ? { ...old, headers: { ...old.headers, ...answer.headers } } : answer;
    this.#drop(path);
    const control = whole.headers["Cache-Control"] ?? "";
    const seconds = Number(/max-age=(\d+)/.exec(control)?.[1] ?? 0);
    const isKept = whole.status === 200 && !control.includes("no-store") && (seconds > 0 || whole.headers.ETag);
    if (isKept) this.#keep(path, { answer: whole, until: Date.now() + seconds * 1000 });
    return whole;
  }

  #keep(path: string, kept: Kept): void {
    this.#kept.set(path, kept);
    this.#size += kept.answer.body.byteLength;
    for (const oldest of this.#kept.keys()) {
      if (this.#size <= this.limit) break;
      this.#drop(oldest);
    }
  }

  #drop(path: string): void {
    const kept = this.#kept.get(path);
    if (!kept) return;
    this.#kept.delete(path);
    this.#size -= kept.answer.body.byteLength;
  }
}
