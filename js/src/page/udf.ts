/** A map of one UDF, from what a server says of it. */

import type { Bounds, ControlSpec, Kind, LayerSpec, Params } from "../protocol";
import { automatic } from "../style/spec";

/** The twin is fused_jupyter/server_ext/pages/viewer.py. */
export interface UdfInfo {
  name: string;
  /** Parameters as JSON Schema. */
  schema: { properties?: Record<string, { default?: unknown }> };
  controls: ControlSpec[];
  /** The parameter that takes the tile; null where the UDF gives no tiles. */
  spatial: string | null;
  /** Zooms that may be asked for. */
  zooms: [number, number];
  /** Longitude, latitude and zoom where a map of it begins; zoom 1 is two tiles wide. */
  view: [number, number, number];
  /** Formats of its tiles that may be asked for. */
  formats: string[];
}

const BASE = "#1c9fb0"; // the first of PALETTE in fused_jupyter/widgets/_style
const WHOLE_WORLD = 1; // zoom; a view no nearer than that says nothing

/** The traits of a map of it. */
export function stateOf(udf: UdfInfo): Record<string, unknown> {
  const [longitude, latitude, zoom] = udf.view;
  const own = udf.spatial ? udf.schema.properties?.[udf.spatial]?.default : null;
  const hasView = zoom > WHOLE_WORLD;
  return {
    layers: [layerOf(udf)],
    controls: udf.controls,
    params: startsOf(udf),
    bounds: !hasView && isBounds(own) ? own : null,
    center: hasView ? [longitude, latitude] : null,
    // MapLibre counts zooms by tiles of 512 px.
    zoom: hasView ? zoom - 1 : null,
    basemap: "world",
    height: "100%",
    draw_tools: false,
  };
}

/** What the map must set so that the controls show the truth: where they start with another value than the UDF. */
function startsOf({ controls, schema }: UdfInfo): Params {
  const isOther = ({ name, value }: ControlSpec) =>
    value !== null && JSON.stringify(value) !== JSON.stringify(schema.properties?.[name]?.default);
  return Object.fromEntries(controls.filter(isOther).map(({ name, value }) => [name, value]));
}

function layerOf(udf: UdfInfo): LayerSpec {
  const { name, spatial, zooms } = udf;
  const parameters = Object.keys(udf.schema.properties ?? {}).filter((each) => each !== spatial);
  const common = {
    name,
    udf: name,
    version: "",
    parameters,
    params: {},
    style: automatic(BASE),
    legend: true,
    opacity: 1,
    visible: true,
    min_zoom: zooms[0],
    max_zoom: zooms[1],
    tooltip: "auto" as const,
    bounds: null,
  };
  if (spatial === null) return { ...common, type: "file", viewport: "" };
  return { ...common, type: "tiles", kind: kindOf(udf.formats), tile_size: 256 };
}

/** A token may rule one of them out. */
function kindOf(formats: readonly string[]): Kind | "auto" {
  if (!formats.includes("mvt")) return "raster";
  return formats.includes("png") ? "auto" : "vector";
}

function isBounds(value: unknown): value is Bounds {
  return Array.isArray(value) && value.length === 4 && value.every(Number.isFinite);
}
