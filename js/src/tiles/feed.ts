/**
 * Hands tiles to MapLibre, and knows which are under way and which failed.
 *
 * MapLibre 6.17 could fetch by itself, but then: a vector tile that answers 404 fails silently; one that failed is never
 * asked for again after setTiles; one that is under way when setTiles comes keeps its old content; a raster tile that is
 * late overwrites the newer one; and an error event does not show Retry-After. So we fetch, through a protocol of ours,
 * and never reject: a failed tile is an empty tile and an entry in `failures`.
 */

import type { Server } from "../link/server";
import type { TileFailure } from "../protocol";
import { readError } from "../view/status";
import { type TileId, tileUrl } from "./address";

const RETRIES = 5; // of a layer in a row; a success starts the count anew
const LONGEST_WAIT = 60; // seconds

interface Source {
  template: string;
  /** Aborts when the template changes. */
  stale: AbortController;
  retries: number;
  timer: ReturnType<typeof setTimeout> | null;
}

interface Flight {
  bytes: Promise<ArrayBuffer>;
  abort: AbortController;
  waiting: number;
}

class RefusedTile extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly line: number | null,
    /** Seconds. */
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

export interface FeedListener {
  /** The counts or the failures changed. */
  changed(): void;
  /** These tiles are worth asking for again. */
  retry(layer: string, tiles: TileId[]): void;
}

export class TileFeed {
  readonly #sources = new Map<string, Source>();
  readonly #flights = new Map<string, Flight>();
  readonly #failures = new Map<string, { id: TileId; failure: TileFailure }>();
  #loading = 0;

  constructor(
    private readonly server: Pick<Server, "fetch">,
    private readonly listener: FeedListener,
  ) {}

  /** Tiles under way. */
  get loading(): number {
    return this.#loading;
  }

  get failures(): TileFailure[] {
    return [...this.#failures.values()].map(({ failure }) => failure);
  }

  /**
   * From now on the layer's tiles come from here; says whether that is new.
   *
   * If so, what is under way is asked for again, and what failed is forgotten.
   */
  point(layer: string, template: string): boolean {
    const source = this.#sources.get(layer);
    if (source?.template === template) return false;
    this.#sources.set(layer, { template, stale: new AbortController(), retries: 0, timer: null });
    this.#leave(layer, source);
    return true;
  }

  remove(layer: string): void {
    const source = this.#sources.get(layer);
    this.#sources.delete(layer);
    this.#leave(layer, source);
  }

  clear(): void {
    for (const layer of [...this.#sources.keys()]) this.remove(layer);
  }

  /** Asks again for all tiles that failed. */
  retryAll(): void {
    for (const layer of this.#sources.keys()) this.#retry(layer);
  }

  /** The bytes of a tile; none where it is empty or failed. Rejects only when the signal aborts. */
  async load(layer: string, id: TileId, signal: AbortSignal): Promise<ArrayBuffer> {
    this.#count(1);
    try {
      return await this.#loadNewest(layer, id, signal);
    } finally {
      this.#count(-1);
    }
  }

  /** Notes a failure that did not come from `load`: what was thrown, or an answer that is none. */
  async fail(layer: string, id: TileId, failure: unknown): Promise<void> {
    this.#note(layer, id, failure instanceof Response ? await refusal(failure) : failure);
  }

  async #loadNewest(layer: string, id: TileId, signal: AbortSignal): Promise<ArrayBuffer> {
    for (;;) {
      const source = this.#sources.get(layer);
      if (!source) return new ArrayBuffer(0);
      try {
        const bytes = await this.#join(tileUrl(source.template, id), AbortSignal.any([signal, source.stale.signal]));
        source.retries = 0;
        this.#failures.delete(keyOf(layer, id));
        return bytes;
      } catch (error) {
        if (signal.aborted) throw error;
        if (source.stale.signal.aborted) continue; // the same tile under its newer URL
        this.#note(layer, id, error);
        return new ArrayBuffer(0);
      }
    }
  }

  /** Equal requests share one fetch, which ends when nobody waits for it. */
  #join(url: string, signal: AbortSignal): Promise<ArrayBuffer> {
    const flight = this.#flights.get(url) ?? this.#depart(url);
    flight.waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        flight.waiting -= 1;
        if (flight.waiting === 0) this.#cancel(url, flight);
        reject(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      // A copy, because MapLibre moves the buffer into its worker.
      const settle = (finish: () => void) => {
        signal.removeEventListener("abort", leave);
        finish();
      };
      flight.bytes.then(
        (bytes) => settle(() => resolve(bytes.slice(0))),
        (error) => settle(() => reject(error)),
      );
    });
  }

  #depart(url: string): Flight {
    const abort = new AbortController();
    const bytes = fetchTile(this.server, url, abort.signal);
    const flight: Flight = { bytes, abort, waiting: 0 };
    this.#flights.set(url, flight);
    const land = () => {
      if (this.#flights.get(url) === flight) this.#flights.delete(url);
    };
    bytes.then(land, land);
    return flight;
  }

  #cancel(url: string, flight: Flight): void {
    if (this.#flights.get(url) === flight) this.#flights.delete(url);
    flight.abort.abort();
  }

  #note(layer: string, id: TileId, error: unknown): void {
    const { status, line, retryAfter } =
      error instanceof RefusedTile ? error : { status: 0, line: null, retryAfter: null };
    const message = error instanceof Error ? error.message : String(error);
    const tile = `${id.z}/${id.x}/${id.y}`;
    this.#failures.set(keyOf(layer, id), { id, failure: { layer, tile, status, error: message, line } });
    if (retryAfter !== null) this.#retryLater(layer, retryAfter);
    this.listener.changed();
  }

  #retryLater(layer: string, seconds: number): void {
    const source = this.#sources.get(layer);
    if (!source || source.timer !== null || source.retries >= RETRIES) return;
    source.retries += 1;
    const wait = Math.min(Math.max(seconds, 1), LONGEST_WAIT) * 1000;
    source.timer = setTimeout(() => {
      source.timer = null;
      this.#retry(layer);
    }, wait);
  }

  #retry(layer: string): void {
    const failed = [...this.#failures.values()].filter(({ failure }) => failure.layer === layer);
    for (const { id } of failed) this.#failures.delete(keyOf(layer, id));
    if (failed.length > 0)
      this.listener.retry(
        layer,
        failed.map(({ id }) => id),
      );
    this.listener.changed();
  }

  #leave(layer: string, source: Source | undefined): void {
    if (!source) return;
    if (source.timer !== null) clearTimeout(source.timer);
    for (const [key, { failure }] of this.#failures) if (failure.layer === layer) this.#failures.delete(key);
    source.stale.abort();
    this.listener.changed();
  }

  #count(change: number): void {
    this.#loading += change;
    this.listener.changed();
  }
}

async function fetchTile(server: Pick<Server, "fetch">, url: string, signal: AbortSignal): Promise<ArrayBuffer> {
  const response = await server.fetch(url, { signal });
  if (!response.ok) throw await refusal(response);
  return response.arrayBuffer();
}

async function refusal(response: Response): Promise<RefusedTile> {
  const { status, statusText } = response;
  const { error, line } = readError(status, statusText, await response.text());
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfter = (status === 503 || status === 429) && Number.isFinite(seconds) ? seconds : null;
  return new RefusedTile(status, error, line, retryAfter);
}

function keyOf(layer: string, { z, x, y }: TileId): string {
  return `${layer}/${z}/${x}/${y}`;
}
