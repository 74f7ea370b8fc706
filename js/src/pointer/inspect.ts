/** What lies at a place: features that are drawn there, and the numbers of rasters. */

import type { MapGeoJSONFeature, Map as MapLibreMap, PointLike } from "maplibre-gl";
import { isOurs } from "../layers/stack";
import { type Bounds, type LayerSpec, type Params, type TooltipSpec, TRAITS } from "../protocol";
import { tileTemplate } from "../tiles/address";
import type { View } from "../view/view";
import type { PixelValue } from "./npy";
import { placeInTile, rasterZoom } from "./place";
import { featureRows, pixelRows, type Row } from "./text";
import type { ValueReader } from "./values";

/** One feature, or one layer's pixel. */
export interface Finding {
  layer: string;
  /** Of a feature, else null. */
  properties: Record<string, unknown> | null;
  id: string | number | null;
  /** Of a pixel, one for each band; else null. */
  values: PixelValue[] | null;
  /** What a tooltip says. */
  rows: Row[];
}

/** The traits `clicked` and `hovered`; described in fused_jupyter/widgets/_pointer.py. */
export interface PointerEventData {
  lngLat: [number, number];
  layer: string | null;
  properties: Record<string, unknown> | null;
  id: string | number | null;
  values: PixelValue[] | null;
  features: Omit<Finding, "rows">[];
  time: number;
}

const REACH = 4; // px; lines and points are hard to hit
const MOST = 50; // features of one place
const SOURCE_PREFIX = "fused:";

export class Inspector {
  constructor(
    private readonly view: Pick<View, "map" | "model" | "server" | "layers">,
    private readonly reader: ValueReader | null,
  ) {}

  get #specs(): LayerSpec[] {
    return this.view.layers.drawn;
  }

  /** The features that are drawn at a point, the topmost first; else those close by. */
  features(at: { x: number; y: number }): Finding[] {
    const exact = this.#query([at.x, at.y]);
    const close: PointLike = [
      [at.x - REACH, at.y - REACH],
      [at.x + REACH, at.y + REACH],
    ] as unknown as PointLike;
    return exact.length > 0 ? exact : this.#query(close);
  }

  /** The rasters that have a pixel there, the topmost first. Those that fail say why. */
  async pixels(longitude: number, latitude: number, wants: (spec: LayerSpec) => boolean): Promise<Finding[]> {
    const specs = this.#specs.filter((spec) => wants(spec) && this.#isDrawnRaster(spec, longitude, latitude)).reverse();
    const findings = await Promise.all(specs.map((spec) => this.#pixel(spec, longitude, latitude)));
    return findings.filter((finding) => finding !== null);
  }

  /** Both kinds, in the order in which they are drawn now: the layer panel may change that of the trait. */
  sorted(findings: Finding[]): Finding[] {
    const { map } = this.view;
    const heights = new Map(map.getLayersOrder().map((id, i) => [map.getLayer(id)?.source ?? "", i]));
    const height = ({ layer }: Finding) => heights.get(SOURCE_PREFIX + layer) ?? 0;
    return [...findings].sort((a, b) => height(b) - height(a));
  }

  #query(geometry: PointLike): Finding[] {
    const specs = this.#specs;
    const seen = new Set<string>();
    const findings: Finding[] = [];
    for (const feature of this.view.map.queryRenderedFeatures(geometry as never)) {
      const spec = isOurs(feature.source) ? specOf(feature, specs) : undefined;
      // A polygon is found as its area, as its outline, and once more in the next tile.
      const key = `${feature.source} ${feature.id ?? ""} ${JSON.stringify(feature.properties)}`;
      if (!spec || seen.has(key) || findings.length >= MOST) continue;
      seen.add(key);
      findings.push(findingOf(feature, spec));
    }
    return findings;
  }

  #isDrawnRaster(spec: LayerSpec, longitude: number, latitude: number): boolean {
    const { map } = this.view;
    if (map.getSource(SOURCE_PREFIX + spec.name)?.type !== "raster") return false;
    return isVisible(map, SOURCE_PREFIX + spec.name) && (!spec.bounds || isWithin(spec.bounds, longitude, latitude));
  }

  async #pixel(spec: LayerSpec, longitude: number, latitude: number): Promise<Finding | null> {
    const { map, model, server } = this.view;
    const zoom = spec.type === "tiles" ? rasterZoom(map.getZoom(), spec) : null;
    if (spec.type !== "tiles" || zoom === null || !server || !this.reader) return null;
    const shared = model.get(TRAITS.params) as Params;
    const kernelId = String(model.get(TRAITS.kernelId));
    const template = arrayTemplate(tileTemplate(server.root, spec, { shared, kernelId, kind: null }));
    const found = { layer: spec.name, properties: null, id: null };
    try {
      const reading = await this.reader.read(template, placeInTile(longitude, latitude, zoom));
      return (
        reading && { ...found, values: reading.values, rows: rowsOf(reading.values, reading.digits, spec.tooltip) }
      );
    } catch (error) {
      return { ...found, values: null, rows: [["", error instanceof Error ? error.message : String(error)]] };
    }
  }
}

/** The trait's value for what was found. */
export function eventOf(longitude: number, latitude: number, findings: Finding[]): PointerEventData {
  const features = findings.map(({ rows: _, ...finding }) => finding);
  const top = features[0] ?? { layer: null, properties: null, id: null, values: null };
  return { lngLat: [round(longitude), round(latitude)], ...top, features, time: Date.now() };
}

function findingOf(feature: MapGeoJSONFeature, spec: LayerSpec): Finding {
  const { properties } = feature;
  return {
    layer: spec.name,
    properties,
    id: feature.id ?? null,
    values: null,
    rows: featureRows(properties, spec.tooltip),
  };
}

function rowsOf(values: PixelValue[], digits: number, tooltip: TooltipSpec): Row[] {
  return tooltip === "none" ? [] : pixelRows(values, digits, tooltip);
}

/** The layer that a source belongs to; of several whose names begin alike, the longest. */
function specOf({ source }: MapGeoJSONFeature, specs: LayerSpec[]): LayerSpec | undefined {
  const name = source.slice(SOURCE_PREFIX.length);
  const owners = specs.filter((spec) => name === spec.name || name.startsWith(`${spec.name}:`));
  return owners.sort((a, b) => b.name.length - a.name.length)[0];
}

function isVisible(map: MapLibreMap, source: string): boolean {
  const styles = map.getLayersOrder().map((id) => map.getLayer(id));
  return styles.some((style) => style?.source === source && style.visibility !== "none");
}

function isWithin([west, south, east, north]: Bounds, longitude: number, latitude: number): boolean {
  const isAcross = west > east;
  const inLongitude = isAcross ? longitude >= west || longitude <= east : longitude >= west && longitude <= east;
  return inLongitude && latitude >= south && latitude <= north;
}

/** The template of the same tiles as arrays; that without a kind ends before the query. */
export function arrayTemplate(template: string): string {
  return template.replace("/{y}?", "/{y}.npy?");
}

function round(degrees: number): number {
  return Number(degrees.toFixed(7)); // a centimetre
}
