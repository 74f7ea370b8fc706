/** A map of one UDF, from what a server says of it. */

import type { Bounds, ControlSpec, Kind, LayerSpec, Params } from "../protocol";
import { automatic } from "../style/spec";

/** The twin is fused_jupyter/server_ext/pages/viewer.py. */
export interface UdfInfo {
  name: string;
  /** Parameters as JSON Schema. */
  schema: { properties?: Record<string, Schema> };
  /** The parameter that takes the tile; null where the UDF gives no tiles. */
  spatial: string | null;
  /** Zooms that may be asked for. */
  zooms: [number, number];
  /** Longitude, latitude and zoom where a map of it begins; zoom 1 is two tiles wide. */
  view: [number, number, number];
  /** Formats of its tiles that may be asked for. */
  formats: string[];
}

export interface Schema {
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  default?: unknown;
  description?: string;
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
    controls: controlsOf(udf),
    params: {} satisfies Params,
    bounds: !hasView && isBounds(own) ? own : null,
    center: hasView ? [longitude, latitude] : null,
    // MapLibre counts zooms by tiles of 512 px.
    zoom: hasView ? zoom - 1 : null,
    basemap: "world",
    height: "100%",
    draw_tools: false,
  };
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

/** A control for each parameter that one can set. A notebook's map, which knows the source, has finer ones. */
export function controlsOf({ schema, spatial }: Pick<UdfInfo, "schema" | "spatial">): ControlSpec[] {
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => name !== spatial && !name.startsWith("_"))
    .map(([name, each]) => controlOf(name, each))
    .filter((control): control is ControlSpec => control !== null);
}

type Make = (value: unknown) => Partial<ControlSpec> & Pick<ControlSpec, "kind" | "type">;

const MAKERS: Record<string, Make> = {
  boolean: (value) => ({ kind: "checkbox", type: "bool", value: value === true }),
  integer: (value) => withRange("int", value),
  number: (value) => withRange("float", value),
  string: () => ({ kind: "text", type: "str" }),
  date: () => ({ kind: "date", type: "date" }),
  "date-time": () => ({ kind: "date", type: "datetime" }),
};

function controlOf(name: string, given: Schema): ControlSpec | null {
  const [schema, isNullable] = withoutNull(given);
  const value = schema.default ?? given.default ?? null;
  const common = { name, value, label: "", min: null, max: null, step: null, options: null, play: null };
  const optional = isNullable || ("default" in given && value === null);
  if (schema.enum) {
    const options = schema.enum.filter((each) => each !== null).map((each): [string, unknown] => [String(each), each]);
    return { ...common, optional, kind: "dropdown", type: typeOf(options[0]?.[1]), options };
  }
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  const make = MAKERS[schema.format ?? ""] ?? MAKERS[type ?? ""];
  return make ? { ...common, optional, ...make(value) } : null;
}

function withoutNull(schema: Schema): [Schema, boolean] {
  if (Array.isArray(schema.type) && schema.type.includes("null")) {
    return [{ ...schema, type: schema.type.filter((each) => each !== "null") }, true];
  }
  const members = schema.anyOf?.filter((each) => each.type !== "null") ?? [];
  const [only] = members;
  if (only && members.length === 1) return [{ ...schema, ...only }, true];
  return [schema, schema.enum?.includes(null) ?? false];
}

/** From 0 to twice the default, as in a notebook; a large whole number is a year or a code, and is written. */
function withRange(type: "int" | "float", value: unknown): ReturnType<Make> {
  const isLarge = type === "int" && Math.abs(Number(value)) > 1000;
  if (typeof value !== "number" || isLarge) return { kind: "number", type, step: type === "int" ? 1 : null };
  const end = value === 0 ? (type === "int" ? 10 : 1) : 2 * value;
  const [min, max] = [Math.min(0, end), Math.max(0, end)];
  return { kind: "slider", type, min, max, step: type === "int" ? 1 : stepOf(max - min) };
}

/** A hundredth, rounded down to 1, 2 or 5 times a power of ten. */
function stepOf(width: number): number {
  const raw = width / 100;
  const power = 10 ** Math.floor(Math.log10(raw));
  const lead = [5, 2, 1].find((each) => each <= raw / power + 1e-9) ?? 1;
  return Number((lead * power).toPrecision(12));
}

function typeOf(value: unknown): ControlSpec["type"] {
  if (typeof value === "boolean") return "bool";
  if (typeof value !== "number") return "str";
  return Number.isInteger(value) ? "int" : "float";
}
