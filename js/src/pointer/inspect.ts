/** What lies at a place: features that are drawn there, and the numbers of rasters. */

import type { MapGeoJSONFeature, Map as MapLibreMap, PointLike } from "maplibre-gl";
import { Contents } from "../layers/contents";
import { sourceId } from "../layers/stack";
import {
  type Bounds,
  type ImageSpec,
  type LayerSpec,
  type Params,
  type TileSpec,
  type TooltipSpec,
  TRAITS,
} from "../protocol";
import { tileTemplate } from "../tiles/address";
import type { View } from "../view/view";
import { type PixelValue, readGrid } from "./npy";
import { placeInTile, rasterZoom } from "./place";
import { featureRows, pixelRows, type Row } from "./text";
import type { PixelReading, ValueReader } from "./values";

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
const TURNS = [0, 360, -360]; // degrees; bounds across the antimeridian may count on
const PATIENCE = 3000; // ms that the numbers of Python's own pictures may take; a busy kernel gives none

export class Inspector {
  /** Of Python's pictures; not the layers' own, as the map is whole without these. */
  readonly #pictures: Contents;

  constructor(
    private readonly view: Pick<View, "map" | "model" | "server" | "layers" | "signal">,
    private readonly reader: ValueReader | null,
  ) {
    this.#pictures = new Contents(view.model, view.signal);
  }

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
    const height = ({ layer }: Finding) => heights.get(sourceId(layer)) ?? 0;
    return [...findings].sort((a, b) => height(b) - height(a));
  }

  #query(geometry: PointLike): Finding[] {
    const specs = new Map(this.#specs.map((spec) => [sourceId(spec.name), spec]));
    const seen = new Set<string>();
    const findings: Finding[] = [];
    for (const feature of this.view.map.queryRenderedFeatures(geometry as never)) {
      const spec = specs.get(feature.source);
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
    const source = sourceId(spec.name);
    if (!RASTERS.has(map.getSource(source)?.type ?? "")) return false;
    return isVisible(map, source) && (!spec.bounds || isWithin(spec.bounds, longitude, latitude));
  }

  async #pixel(spec: LayerSpec, longitude: number, latitude: number): Promise<Finding | null> {
    const found = { layer: spec.name, properties: null, id: null };
    try {
      const reading = await this.#read(spec, longitude, latitude);
      return (
        reading && { ...found, values: reading.values, rows: rowsOf(reading.values, reading.digits, spec.tooltip) }
      );
    } catch (error) {
      return { ...found, values: null, rows: [["", error instanceof Error ? error.message : String(error)]] };
    }
  }

  async #read(spec: LayerSpec, longitude: number, latitude: number): Promise<PixelReading | null> {
    if (spec.type === "image") return this.#readPicture(spec, longitude, latitude);
    return spec.type === "tiles" ? this.#readTile(spec, longitude, latitude) : null;
  }

  async #readTile(spec: TileSpec, longitude: number, latitude: number): Promise<PixelReading | null> {
    const { map, model, server } = this.view;
    const zoom = rasterZoom(map.getZoom(), spec);
    if (zoom === null || !server || !this.reader) return null;
    const shared = model.get(TRAITS.params) as Params;
    const kernelId = String(model.get(TRAITS.kernelId));
    const template = arrayTemplate(tileTemplate(server.root, spec, { shared, kernelId, kind: null }));
    return this.reader.read(template, placeInTile(longitude, latitude, zoom));
  }

  async #readPicture(spec: ImageSpec, longitude: number, latitude: number): Promise<PixelReading | null> {
    const bytes = await within(PATIENCE, this.#pictures.ask(`${spec.data}@${longitude},${latitude}`), null);
    const grid = bytes && readGrid(bytes);
    return grid && { values: grid.pixel(0, 0), digits: grid.digits };
  }
}

const RASTERS = new Set(["raster", "image"]);

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

function isVisible(map: MapLibreMap, source: string): boolean {
  const styles = map.getLayersOrder().map((id) => map.getLayer(id));
  return styles.some((style) => style?.source === source && style.visibility !== "none");
}

function isWithin([west, south, east, north]: Bounds, longitude: number, latitude: number): boolean {
  const end = west > east ? east + 360 : east;
  const isBetween = TURNS.some((turn) => longitude + turn >= west && longitude + turn <= end);
  return isBetween && latitude >= south && latitude <= north;
}

/** The template of the same tiles as arrays; that without a kind ends before the query. */
export function arrayTemplate(template: string): string {
  return template.replace("/{y}?", "/{y}.npy?");
}

function round(degrees: number): number {
  return Number(degrees.toFixed(7)); // a centimetre
}

/** The promise's value, or this one if it takes longer. */
export function within<T>(milliseconds: number, promise: Promise<T>, otherwise: T): Promise<T> {
  return Promise.race([promise, new Promise<T>((resolve) => setTimeout(resolve, milliseconds, otherwise))]);
}
