/** Our layers as MapLibre has them: for each one source, and style layers on it. */

import type { FilterSpecification, LayerSpecification, Map as MapLibreMap, Source } from "maplibre-gl";
import type { CommonSpec, Kind } from "../protocol";
import type { Looks } from "../style/looks";

/** The name of the layer inside our vector tiles; the twin is the MVT writer in fused_jupyter/formats. */
const SOURCE_LAYER = "udf";
/** All our ids begin so; a basemap's may be anything else. */
const PREFIX = "fused:";
const DEEPEST = 22; // MapLibre's own limit; a layer without one says this

const GEOMETRY_TYPES: Record<string, string[]> = {
  fill: ["Polygon", "MultiPolygon"],
  line: ["LineString", "MultiLineString", "Polygon", "MultiPolygon"],
  circle: ["Point", "MultiPoint"],
};
const STYLE_TYPES: Record<Kind, string[]> = { raster: ["raster"], vector: Object.keys(GEOMETRY_TYPES) };

/** A source without what may change while it stays: its tiles, its data, its picture. */
export type FixedSource = { type: "raster" | "vector" | "geojson" | "image" } & Record<string, unknown>;

interface Shown {
  /** What the source was made of; another value means another source. */
  source: string;
  styles: LayerSpecification[];
}

export class Drawn {
  readonly #shown = new Map<string, Shown>();

  constructor(
    private readonly map: MapLibreMap,
    /** Whoever gets data tells it, before they are drawn. */
    readonly looks: Looks,
  ) {}

  /** Whether MapLibre takes sources and layers: not while it loads the style of another basemap. */
  get isReady(): boolean {
    // Its public methods tell whether all sources have loaded, or copy the whole style.
    return (this.map.style as unknown as { _loaded: boolean } | undefined)?._loaded ?? false;
  }

  /** Resolves when it does. */
  async ready(): Promise<void> {
    while (!this.isReady) await this.map.once("style.load");
  }

  has(name: string): boolean {
    return this.#shown.has(name);
  }

  source<T extends Source>(name: string): T | undefined {
    return this.map.getSource(sourceId(name)) as T | undefined;
  }

  /** Draws a layer or draws it anew; says whether its source is a new one, which has what `live` says. */
  draw(spec: CommonSpec, kind: Kind, source: FixedSource, live: Record<string, unknown>): boolean {
    const { name } = spec;
    const made = JSON.stringify(source);
    const styles = STYLE_TYPES[kind].map((type) => this.#styleOf(spec, type, source.type));
    const before = this.#shown.get(name);
    const isNew = before?.source !== made;
    if (isNew) {
      this.remove(name);
      this.map.addSource(sourceId(name), { ...source, ...live } as never);
      for (const style of styles) this.map.addLayer(style);
    } else for (const [i, style] of styles.entries()) restyle(this.map, before.styles[i], style);
    this.#shown.set(name, { source: made, styles });
    return isNew;
  }

  /** The same source in another look; nothing where it is not drawn yet. */
  restyle(spec: CommonSpec, kind: Kind, type: FixedSource["type"]): void {
    const shown = this.#shown.get(spec.name);
    if (!shown) return;
    const styles = STYLE_TYPES[kind].map((each) => this.#styleOf(spec, each, type));
    for (const [i, style] of styles.entries()) restyle(this.map, shown.styles[i], style);
    shown.styles = styles;
  }

  remove(name: string): void {
    const shown = this.#shown.get(name);
    if (!shown) return;
    this.#shown.delete(name);
    for (const { id } of shown.styles) this.map.removeLayer(id);
    this.map.removeSource(sourceId(name));
  }

  /** The first name lies lowest. */
  order(names: readonly string[]): void {
    const wanted = names.flatMap((name) => this.#shown.get(name)?.styles.map(({ id }) => id) ?? []);
    const present = this.map.getLayersOrder().filter(isOurs);
    if (wanted.join("\n") !== present.join("\n")) for (const id of wanted) this.map.moveLayer(id);
  }

  #styleOf(spec: CommonSpec, type: string, sourceType: FixedSource["type"]): LayerSpecification {
    return styleOf(spec, { type, sourceType, paint: this.looks.paint(spec, type) });
  }

  /** Asks MapLibre to load these tiles of a layer again. */
  refresh(name: string, tiles: { z: number; x: number; y: number }[]): void {
    this.map.refreshTiles(sourceId(name), tiles);
  }
}

/** Whether a source or style layer is ours, and so stays when the basemap changes. */
export function isOurs(id: string): boolean {
  return id.startsWith(PREFIX);
}

/** MapLibre's id of a layer's source. */
export function sourceId(name: string): string {
  return PREFIX + name;
}

function styleOf(
  spec: CommonSpec,
  { type, sourceType, paint }: { type: string; sourceType: FixedSource["type"]; paint: Record<string, unknown> },
): LayerSpecification {
  const geometryTypes = GEOMETRY_TYPES[type];
  const filter = ["match", ["geometry-type"], geometryTypes, true, false] as FilterSpecification;
  const isTiled = sourceType === "raster" || sourceType === "vector";
  // Tiles know their zooms by their source, and are enlarged beyond them.
  const zooms = { minzoom: spec.min_zoom, ...(spec.max_zoom < DEEPEST && { maxzoom: spec.max_zoom }) };
  return {
    id: `${sourceId(spec.name)}:${type}`,
    type,
    source: sourceId(spec.name),
    ...(sourceType === "vector" && { "source-layer": SOURCE_LAYER }),
    ...(geometryTypes && { filter }),
    ...(!isTiled && zooms),
    paint,
    layout: { visibility: spec.visible ? "visible" : "none" },
  } as LayerSpecification;
}

function restyle(map: MapLibreMap, old: LayerSpecification | undefined, style: LayerSpecification): void {
  const before = (old?.paint ?? {}) as Record<string, unknown>;
  const after = (style.paint ?? {}) as Record<string, unknown>;
  for (const property of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[property]) === JSON.stringify(after[property])) continue;
    map.setPaintProperty(style.id, property as never, after[property] as never);
  }
  if (old?.layout?.visibility !== style.layout?.visibility)
    map.setLayoutProperty(style.id, "visibility", style.layout?.visibility ?? "visible");
  if (old?.minzoom !== style.minzoom || old?.maxzoom !== style.maxzoom)
    map.setLayerZoomRange(style.id, style.minzoom ?? 0, style.maxzoom ?? 24);
}
