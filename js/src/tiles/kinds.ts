/** Finds out whether a UDF gives images or vector tiles, by one tile without extension. */

import type { Server } from "../link/server";
import type { Kind, TileSpec } from "../protocol";
import { kindOf, type TileId, tileUrl } from "./address";
import type { TileFeed } from "./feed";

interface Question {
  template: string;
  abort: AbortController;
}

export class KindFinder {
  readonly #known = new Map<string, { kind: Kind; udf: string; version: string }>();
  readonly #questions = new Map<string, Question>();
  #asking = 0;

  constructor(
    private readonly server: Pick<Server, "fetch">,
    private readonly feed: Pick<TileFeed, "fail">,
    /** The tile in the middle of the view, at a zoom between the two. */
    private readonly centre: (minZoom: number, maxZoom: number) => TileId,
    private readonly changed: () => void,
  ) {}

  get isBusy(): boolean {
    return this.#asking > 0;
  }

  /** The kind it has, or had before an edit: the likely one, so tiles need not wait for the answer. */
  known(spec: TileSpec): Kind | null {
    const known = this.#known.get(spec.name);
    return known?.udf === spec.udf ? known.kind : null;
  }

  /** Asks unless this version's kind is known or the same question was asked; calls back when it learned something. */
  async ask(spec: TileSpec, template: string, learned: () => void): Promise<void> {
    const known = this.#known.get(spec.name);
    if (known?.udf === spec.udf && known.version === spec.version) return;
    if (this.#questions.get(spec.name)?.template === template) return;
    this.#questions.get(spec.name)?.abort.abort();
    const question = { template, abort: new AbortController() };
    this.#questions.set(spec.name, question);
    this.#count(1);
    try {
      const kind = await this.#fetchKind(spec, question);
      if (kind === null || question.abort.signal.aborted) return;
      this.#known.set(spec.name, { kind, udf: spec.udf, version: spec.version });
      this.#questions.delete(spec.name);
      learned();
    } finally {
      this.#count(-1);
    }
  }

  forgetFailures(): void {
    this.#questions.clear();
  }

  forget(name: string): void {
    this.#questions.get(name)?.abort.abort();
    this.#questions.delete(name);
    this.#known.delete(name);
  }

  clear(): void {
    for (const name of [...this.#questions.keys()]) this.forget(name);
  }

  /** Null where both tiles are empty, or one failed, which the feed is told. */
  async #fetchKind(spec: TileSpec, { template, abort }: Question): Promise<Kind | null> {
    for (const id of [this.centre(spec.min_zoom, spec.max_zoom), { z: 0, x: 0, y: 0 }]) {
      try {
        const response = await this.server.fetch(tileUrl(template, id), { signal: abort.signal });
        if (response.ok && response.status !== 204) {
          await response.body?.cancel();
          return kindOf(response.headers.get("Content-Type"));
        }
        if (!response.ok) {
          await this.feed.fail(spec.name, id, response);
          return null;
        }
      } catch (error) {
        if (!abort.signal.aborted) await this.feed.fail(spec.name, id, error);
        return null;
      }
    }
    return null;
  }

  #count(change: number): void {
    this.#asking += change;
    this.changed();
  }
}
