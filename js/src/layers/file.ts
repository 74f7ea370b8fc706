/** Layers of files: the features that a UDF gives in one run, for the whole world or for the view. */

import type { GeoJSONSource, Map as MapLibreMap } from "maplibre-gl";
import type { FileSpec, Params, TileSpec } from "../protocol";
import { fileUrl, type TileId } from "../tiles/address";
import type { TileFeed } from "../tiles/feed";
import { boundsInView } from "../view/camera";
import type { Drawn } from "./drawn";
import { FEATURES } from "./held";
import { localAddress } from "./local";
import type { Room } from "./stack";

const DEBOUNCE = 250; // ms
/** A file counts as a tile that lies nowhere; `TileFailure.tile` is empty then. */
export const NOWHERE: TileId = { z: -1, x: 0, y: 0 };
const LARGEST = 32_000_000; // bytes of GeoJSON; what is larger is drawn as tiles
const NOT_ACCEPTABLE = 406;

export interface FileContext {
  map: MapLibreMap;
  feed: TileFeed;
  root: string;
  kernelId: string;
  signal: AbortSignal;
}

interface Open {
  spec: FileSpec;
  params: Params;
  abort: AbortController;
  isLoading: boolean;
  url: string;
}

export class FileLayers implements Room<FileSpec> {
  readonly #open = new Map<string, Open>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly drawn: Drawn,
    private readonly context: FileContext,
    /** Takes a layer whose result is no features or too many. */
    private readonly becomeTiles: (spec: FileSpec) => void,
    private readonly changed: () => void,
  ) {
    const { map, signal } = context;
    map.on("moveend", () => this.#moved());
    signal.addEventListener("abort", () => this.#timer !== null && clearTimeout(this.#timer), { once: true });
  }

  place(spec: FileSpec, params: Params): void {
    const open = this.#open.get(spec.name);
    if (open) Object.assign(open, { spec, params });
    else this.#open.set(spec.name, { spec, params, abort: new AbortController(), isLoading: false, url: "" });
    this.drawn.restyle(spec, FEATURES.kind, "geojson");
    this.#aim(spec.name);
  }

  forget(name: string): void {
    const open = this.#open.get(name);
    this.#open.delete(name);
    if (!open) return;
    open.abort.abort();
    this.context.feed.remove(name);
    if (open.url) URL.revokeObjectURL(open.url);
  }

  /** Runs again what failed. */
  refresh(name: string): void {
    const open = this.#open.get(name);
    if (open) void this.#load(name, open);
  }

  urlsInView(spec: FileSpec, params: Params): string[] {
    return [this.#url(spec, params)];
  }

  #url(spec: FileSpec, shared: Params): string {
    const { map, root, kernelId } = this.context;
    return fileUrl(root, spec, { shared, kernelId, view: spec.viewport ? boundsInView(map) : null });
  }

  #moved(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      for (const [name, { spec }] of this.#open) if (spec.viewport) this.#aim(name);
    }, DEBOUNCE);
  }

  /** Points the feed at what the layer is to show now, and loads it if that is new. */
  #aim(name: string): void {
    const { feed } = this.context;
    const open = this.#open.get(name);
    if (!open) return;
    const { spec, params } = open;
    if (feed.point(name, this.#url(spec, params))) void this.#load(name, open);
  }

  /** The feed goes on to the newest address by itself, so one load at a time is enough. */
  async #load(name: string, open: Open): Promise<void> {
    if (open.isLoading) return;
    open.isLoading = true;
    try {
      const bytes = await this.context.feed.load(name, NOWHERE, open.abort.signal);
      await this.drawn.ready();
      if (open.abort.signal.aborted) return;
      if (bytes.byteLength > 0) this.#take(name, open, bytes);
      else if (this.#isRefused(name)) this.becomeTiles(open.spec);
    } catch (error) {
      if (!open.abort.signal.aborted) throw error;
    } finally {
      open.isLoading = false;
    }
  }

  #isRefused(name: string): boolean {
    return this.context.feed.failures.some(({ layer, status }) => layer === name && status === NOT_ACCEPTABLE);
  }

  #take(name: string, open: Open, bytes: ArrayBuffer): void {
    if (bytes.byteLength > LARGEST && !open.spec.viewport) {
      this.becomeTiles(open.spec);
      return;
    }
    this.drawn.looks.learnFile(name, bytes);
    const url = localAddress(bytes, FEATURES.mediaType);
    const { source, kind } = FEATURES;
    if (!this.drawn.draw(open.spec, kind, source, { data: url })) this.drawn.source<GeoJSONSource>(name)?.setData(url);
    const old = open.url;
    open.url = url;
    if (old) setTimeout(() => URL.revokeObjectURL(old), 10_000);
    this.changed();
  }
}

/** The same UDF's tiles. */
export function asTiles({ viewport: _, ...spec }: FileSpec): TileSpec {
  return { ...spec, type: "tiles", kind: "auto", tile_size: 256 };
}
