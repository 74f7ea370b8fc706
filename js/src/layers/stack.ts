/** Keeps MapLibre's sources and style layers equal to the trait `layers`. */

import type {
  FilterSpecification,
  LayerSpecification,
  Map as MapLibreMap,
  RasterSourceSpecification,
  RasterTileSource,
  VectorSourceSpecification,
  VectorTileSource,
} from "maplibre-gl";
import type { Kind, LayerSpec, Params } from "../protocol";
import { type TileId, tileTemplate } from "../tiles/address";
import type { TileFeed } from "../tiles/feed";
import type { KindFinder } from "../tiles/kinds";

type TiledSource = RasterTileSource | VectorTileSource;

/** The name of the layer inside our vector tiles; the twin is the MVT writer in fused_jupyter/formats. */
const SOURCE_LAYER = "udf";
/** All our ids begin so; a basemap's may be anything else. */
const PREFIX = "fused:";

const GEOMETRY_TYPES: Record<string, string[]> = {
  fill: ["Polygon", "MultiPolygon"],
  line: ["LineString", "MultiLineString", "Polygon", "MultiPolygon"],
  circle: ["Point", "MultiPoint"],
};
const STYLE_TYPES: Record<Kind, string[]> = { raster: ["raster"], vector: Object.keys(GEOMETRY_TYPES) };
const OPACITIES: Record<string, string[]> = {
  raster: ["raster-opacity"],
  fill: ["fill-opacity"],
  line: ["line-opacity"],
  circle: ["circle-opacity", "circle-stroke-opacity"],
};

export interface LayerContext {
  map: MapLibreMap;
  feed: TileFeed;
  kinds: KindFinder;
  root: string;
  kernelId: string;
  /** Scheme of the URLs under which MapLibre asks our feed for tiles. */
  protocol: string;
}

interface Shown {
  /** What the source was made of; another value means another source. */
  source: string;
  styles: LayerSpecification[];
}

export class LayerStack {
  #specs: LayerSpec[] = [];
  #params: Params = {};
  #generation = 0;
  readonly #shown = new Map<string, Shown>();

  constructor(private readonly context: LayerContext) {}

  update(specs: LayerSpec[], params: Params): void {
    const gone = this.#specs.filter(({ name }) => !specs.some((spec) => spec.name === name));
    this.#specs = specs;
    this.#params = params;
    for (const { name } of gone) this.#forget(name);
    for (const spec of specs) this.#place(spec);
    this.#order();
  }

  /** Asks again for tiles that failed. */
  refresh(name: string, tiles: TileId[]): void {
    if (this.#shown.has(name)) this.context.map.refreshTiles(sourceId(name), tiles);
    else this.askKindsAgain();
  }

  /** Layers whose first tile failed or was empty still have no kind. */
  askKindsAgain(): void {
    this.context.kinds.forgetFailures();
    for (const spec of this.#specs) if (!this.#shown.has(spec.name)) this.#place(spec);
    this.#order();
  }

  #place(spec: LayerSpec): void {
    const { kinds, feed } = this.context;
    const kind = spec.kind === "auto" ? kinds.known(spec) : spec.kind;
    if (kind) this.#show(spec, kind);
    else feed.point(spec.name, this.#template(spec, null));
    if (spec.kind === "auto") kinds.ask(spec, this.#template(spec, null), () => this.update(this.#specs, this.#params));
  }

  #template(spec: LayerSpec, kind: Kind | null): string {
    const { root, kernelId } = this.context;
    return tileTemplate(root, spec, { shared: this.#params, kernelId, kind });
  }

  #show(spec: LayerSpec, kind: Kind): void {
    const { map, feed, protocol } = this.context;
    const hasMoved = feed.point(spec.name, this.#template(spec, kind));
    if (hasMoved) this.#generation += 1;
    // The number makes the URL new for MapLibre's own caches too.
    const tiles = [`${protocol}://tiles/${encodeURIComponent(spec.name)}/{z}/{x}/{y}?${this.#generation}`];
    const source = sourceOf(spec, kind);
    const styles = STYLE_TYPES[kind].map((type) => styleOf(spec, type));
    const shown = this.#shown.get(spec.name);
    if (shown?.source !== JSON.stringify(source)) {
      this.#remove(spec.name);
      map.addSource(sourceId(spec.name), { ...source, tiles });
      for (const style of styles) map.addLayer(style);
    } else {
      if (hasMoved) map.getSource<TiledSource>(sourceId(spec.name))?.setTiles(tiles);
      for (const [i, style] of styles.entries()) restyle(map, shown.styles[i], style);
    }
    this.#shown.set(spec.name, { source: JSON.stringify(source), styles });
  }

  #forget(name: string): void {
    this.#remove(name);
    this.context.feed.remove(name);
    this.context.kinds.forget(name);
  }

  #remove(name: string): void {
    const shown = this.#shown.get(name);
    if (!shown) return;
    this.#shown.delete(name);
    for (const { id } of shown.styles) this.context.map.removeLayer(id);
    this.context.map.removeSource(sourceId(name));
  }

  /** The first layer lies lowest. */
  #order(): void {
    const { map } = this.context;
    const wanted = this.#specs.flatMap(({ name }) => this.#shown.get(name)?.styles.map(({ id }) => id) ?? []);
    const present = map.getLayersOrder().filter(isOurs);
    if (wanted.join("\n") !== present.join("\n")) for (const id of wanted) map.moveLayer(id);
  }
}

/** Whether a source or style layer is ours, and so stays when the basemap changes. */
export function isOurs(id: string): boolean {
  return id.startsWith(PREFIX);
}

function sourceId(name: string): string {
  return PREFIX + name;
}

function sourceOf(spec: LayerSpec, kind: Kind): RasterSourceSpecification | VectorSourceSpecification {
  const common = { minzoom: spec.min_zoom, maxzoom: spec.max_zoom, ...(spec.bounds && { bounds: spec.bounds }) };
  // MapLibre draws vector tiles at 512 px only.
  return kind === "raster" ? { type: "raster", tileSize: spec.tile_size, ...common } : { type: "vector", ...common };
}

function styleOf(spec: LayerSpec, type: string): LayerSpecification {
  const geometryTypes = GEOMETRY_TYPES[type];
  const vector = geometryTypes && {
    "source-layer": SOURCE_LAYER,
    filter: ["match", ["geometry-type"], geometryTypes, true, false] as FilterSpecification,
  };
  return {
    id: `${sourceId(spec.name)}:${type}`,
    type,
    source: sourceId(spec.name),
    ...vector,
    paint: withOpacity(spec.paint[type] ?? {}, type, spec.opacity),
    layout: { visibility: spec.visible ? "visible" : "none" },
  } as LayerSpecification;
}

function withOpacity(paint: Record<string, unknown>, type: string, opacity: number): Record<string, unknown> {
  const faded = { ...paint };
  for (const property of OPACITIES[type] ?? []) {
    const own = paint[property] ?? 1;
    faded[property] = typeof own === "number" ? own * opacity : ["*", opacity, own];
  }
  return faded;
}

function restyle(map: MapLibreMap, old: LayerSpecification | undefined, style: LayerSpecification): void {
  const before = (old?.paint ?? {}) as Record<string, unknown>;
  const after = (style.paint ?? {}) as Record<string, unknown>;
  for (const property of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[property]) === JSON.stringify(after[property])) continue;
    map.setPaintProperty(style.id, property as never, after[property] as never);
  }
  map.setLayoutProperty(style.id, "visibility", style.layout?.visibility ?? "visible");
}
