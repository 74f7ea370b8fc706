/**
 * Hands tiles to MapLibre, and knows which are under way and which failed.
 *
 * MapLibre 6.17 could fetch by itself, but then: a vector tile that answers 404 fails silently; one that failed is never
 * asked for again after setTiles; one that is under way when setTiles comes keeps its old content; a raster tile that is
 * late overwrites the newer one; and an error event does not show Retry-After. So we fetch, through a protocol of ours,
 * and never reject: a failed tile is an empty tile and an entry in `failures`.
 */

import type { Server } from "../link/server";
import { HEADERS, type TileFailure } from "../protocol";
import { readError } from "../view/status";
import { type TileId, tileUrl } from "./address";
import { type Progress, ProgressCount } from "./progress";

const RETRIES = 5; // of a layer in a row; a success starts the count anew
const LONGEST_WAIT = 60; // seconds

interface Source {
  template: string;
  /** Aborts when the template changes. */
  stale: AbortController;
  retries: number;
  timer: ReturnType<typeof setTimeout> | null;
}

interface Tile {
  bytes: ArrayBuffer;
  /** Whether it cost no run. */
  isCached: boolean;
}

interface Flight {
  tile: Promise<Tile>;
  abort: AbortController;
  waiting: number;
  hasLanded: boolean;
}

/** Tiles that are fetched before anybody asks for them. */
export interface HeldTiles {
  /** Resolves when all are there or have failed. */
  ready: Promise<void>;
  /** Drops those that nobody took, and stops those under way; a second call does nothing. */
  release(): void;
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
  readonly #progress = new ProgressCount();
  readonly #followers = new Set<() => void>();
  #loading = 0;

  constructor(
    private readonly server: Pick<Server, "fetch">,
    private readonly listener: FeedListener,
  ) {}

  /** Tiles under way. */
  get loading(): number {
    return this.#loading;
  }

  get progress(): Progress {
    return this.#progress.progress;
  }

  /** Whether a tile has been answered since new values or new code; true where there is nothing to wait for. */
  get hasAnswered(): boolean {
    const { wanted, done, took } = this.#progress.progress;
    return done > 0 || (wanted === 0 && took !== null);
  }

  /** Calls back on every change of counts or failures, until the signal aborts. */
  follow(callback: () => void, signal: AbortSignal): void {
    this.#followers.add(callback);
    signal.addEventListener("abort", () => this.#followers.delete(callback), { once: true });
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
    this.#progress.restart();
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
    this.#progress.ask();
    this.#count(1);
    try {
      const tile = await this.#loadNewest(layer, id, signal);
      this.#progress.answer(tile.isCached);
      return tile.bytes;
    } catch (error) {
      this.#progress.abandon();
      throw error;
    } finally {
      this.#count(-1);
    }
  }

  /** Fetches these ahead; `load` of one of them takes what is there. Neither counts nor fails. */
  hold(urls: readonly string[]): HeldTiles {
    const flights = urls.map((url) => [url, this.#flights.get(url) ?? this.#depart(url)] as const);
    for (const [, flight] of flights) flight.waiting += 1;
    const ready = Promise.allSettled(flights.map(([, flight]) => flight.tile)).then(() => {});
    let isHeld = true;
    const release = () => {
      if (isHeld) for (const [url, flight] of flights) this.#leaveFlight(url, flight);
      isHeld = false;
    };
    return { ready, release };
  }

  /** Notes a failure that did not come from `load`: what was thrown, or an answer that is none. */
  async fail(layer: string, id: TileId, failure: unknown): Promise<void> {
    this.#note(layer, id, failure instanceof Response ? await refusal(failure) : failure);
  }

  async #loadNewest(layer: string, id: TileId, signal: AbortSignal): Promise<Tile> {
    for (;;) {
      const source = this.#sources.get(layer);
      if (!source) return nothing();
      try {
        const tile = await this.#join(tileUrl(source.template, id), AbortSignal.any([signal, source.stale.signal]));
        source.retries = 0;
        this.#failures.delete(keyOf(layer, id));
        return tile;
      } catch (error) {
        if (signal.aborted) throw error;
        if (source.stale.signal.aborted) continue; // the same tile under its newer URL
        this.#note(layer, id, error);
        return nothing();
      }
    }
  }

  /** Equal requests share one fetch, which ends when nobody waits for it. */
  #join(url: string, signal: AbortSignal): Promise<Tile> {
    const flight = this.#flights.get(url) ?? this.#depart(url);
    flight.waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#leaveFlight(url, flight);
        reject(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      const settle = (finish: () => void) => {
        signal.removeEventListener("abort", leave);
        this.#leaveFlight(url, flight);
        finish();
      };
      flight.tile.then(
        // A copy, because MapLibre moves the buffer into its worker.
        ({ bytes, isCached }) => settle(() => resolve({ bytes: bytes.slice(0), isCached })),
        (error) => settle(() => reject(error)),
      );
    });
  }

  #depart(url: string): Flight {
    const abort = new AbortController();
    const tile = fetchTile(this.server, url, abort.signal);
    const flight: Flight = { tile, abort, waiting: 0, hasLanded: false };
    this.#flights.set(url, flight);
    const land = () => {
      flight.hasLanded = true;
    };
    tile.then(land, land);
    return flight;
  }

  /** The last to leave forgets it, and stops it if it is under way. */
  #leaveFlight(url: string, flight: Flight): void {
    flight.waiting -= 1;
    if (flight.waiting > 0) return;
    if (this.#flights.get(url) === flight) this.#flights.delete(url);
    if (!flight.hasLanded) flight.abort.abort();
  }

  #note(layer: string, id: TileId, error: unknown): void {
    const { status, line, retryAfter } =
      error instanceof RefusedTile ? error : { status: 0, line: null, retryAfter: null };
    const message = error instanceof Error ? error.message : String(error);
    const tile = id.z < 0 ? "" : `${id.z}/${id.x}/${id.y}`;
    this.#failures.set(keyOf(layer, id), { id, failure: { layer, tile, status, error: message, line } });
    if (retryAfter !== null) this.#retryLater(layer, retryAfter);
    this.#changed();
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
    this.#changed();
  }

  #leave(layer: string, source: Source | undefined): void {
    if (!source) return;
    if (source.timer !== null) clearTimeout(source.timer);
    for (const [key, { failure }] of this.#failures) if (failure.layer === layer) this.#failures.delete(key);
    source.stale.abort();
    this.#changed();
  }

  #count(change: number): void {
    this.#loading += change;
    this.#changed();
  }

  #changed(): void {
    this.listener.changed();
    for (const callback of this.#followers) callback();
  }
}

/** A new one each time, because MapLibre moves it into its worker. */
function nothing(): Tile {
  return { bytes: new ArrayBuffer(0), isCached: false };
}

async function fetchTile(server: Pick<Server, "fetch">, url: string, signal: AbortSignal): Promise<Tile> {
  const response = await server.fetch(url, { signal });
  if (!response.ok) throw await refusal(response);
  return { bytes: await response.arrayBuffer(), isCached: response.headers.has(HEADERS.cached) };
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
