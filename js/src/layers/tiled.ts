/** Layers of tiles: pictures or features that a UDF gives for each tile. */

import type { Map as MapLibreMap, RasterTileSource, VectorTileSource } from "maplibre-gl";
import type { Kind, Params, TileSpec } from "../protocol";
import { type TileId, tileTemplate, tileUrl } from "../tiles/address";
import type { TileFeed } from "../tiles/feed";
import { tilesInView } from "../tiles/frame";
import type { KindFinder } from "../tiles/kinds";
import type { Drawn, FixedSource } from "./drawn";
import type { Room } from "./stack";

export interface TileContext {
  feed: TileFeed;
  kinds: KindFinder;
  root: string;
  kernelId: string;
  /** Scheme of the URLs under which MapLibre asks our feed for tiles. */
  protocol: string;
}

export class TiledLayers implements Room<TileSpec> {
  #generation = 0;

  constructor(
    private readonly drawn: Drawn,
    private readonly context: TileContext,
    /** Calls back when the kind of a layer has become known. */
    private readonly learned: () => void,
  ) {}

  place(spec: TileSpec, params: Params): void {
    const { kinds, feed } = this.context;
    const kind = spec.kind === "auto" ? kinds.known(spec) : spec.kind;
    const template = (of: Kind | null) => this.#template(spec, params, of);
    if (kind) this.#show(spec, kind, template(kind));
    else feed.point(spec.name, template(null));
    if (spec.kind === "auto") kinds.ask(spec, template(null), this.learned);
  }

  forget(name: string): void {
    this.context.feed.remove(name);
    this.context.kinds.forget(name);
  }

  /** Loads tiles again that failed. */
  refresh(name: string, tiles: TileId[]): void {
    this.drawn.refresh(name, tiles);
  }

  urlsInView(spec: TileSpec, params: Params, map: MapLibreMap): string[] {
    const kind = spec.kind === "auto" ? this.context.kinds.known(spec) : spec.kind;
    if (!kind) return [];
    const template = this.#template(spec, params, kind);
    return tilesInView(map, spec, kind).map((id) => tileUrl(template, id));
  }

  #template(spec: TileSpec, shared: Params, kind: Kind | null): string {
    const { root, kernelId } = this.context;
    return tileTemplate(root, spec, { shared, kernelId, kind });
  }

  #show(spec: TileSpec, kind: Kind, template: string): void {
    const { feed, protocol } = this.context;
    const hasMoved = feed.point(spec.name, template);
    if (hasMoved) this.#generation += 1;
    if (hasMoved) this.drawn.looks.restart(spec.name);
    // The number makes the URL new for MapLibre's own caches too.
    const tiles = [`${protocol}://tiles/${encodeURIComponent(spec.name)}/{z}/{x}/{y}?${this.#generation}`];
    const isNew = this.drawn.draw(spec, kind, sourceOf(spec, kind), { tiles });
    if (hasMoved && !isNew) this.drawn.source<RasterTileSource | VectorTileSource>(spec.name)?.setTiles(tiles);
  }
}

function sourceOf(spec: TileSpec, kind: Kind): FixedSource {
  const common = { minzoom: spec.min_zoom, maxzoom: spec.max_zoom, ...(spec.bounds && { bounds: spec.bounds }) };
  // MapLibre draws vector tiles at 512 px only.
  return kind === "raster" ? { type: "raster", tileSize: spec.tile_size, ...common } : { type: "vector", ...common };
}
