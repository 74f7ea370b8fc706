/** URLs of tiles: which parameters they carry, and which tile is where. */

import { type Bounds, type FileSpec, type Kind, type Params, ROUTES, type TileSpec, type UdfSpec } from "../protocol";

export interface TileId {
  z: number;
  x: number;
  y: number;
}

const EXTENSIONS: Record<Kind, string> = { raster: ".png", vector: ".mvt" };

/** The map's values that this layer's UDF accepts, and the layer's own on top. */
export function mergeParams(layer: Pick<UdfSpec, "parameters" | "params">, shared: Params): Params {
  const accepted = Object.entries(shared).filter(([name]) => layer.parameters?.includes(name) ?? true);
  return { ...Object.fromEntries(accepted), ...layer.params };
}

/** A value as the server reads it from a query, or null if it is to be left out. */
export function serialise(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The absolute URL of a layer's tiles with {z}, {x} and {y} in it; without a kind it has no extension. */
export function tileTemplate(
  root: string,
  layer: TileSpec,
  options: { shared: Params; kernelId: string; kind: Kind | null },
): string {
  const extension = options.kind ? EXTENSIONS[options.kind] : "";
  const query = queryOf(layer, mergeParams(layer, options.shared), options.kernelId);
  return `${root}${ROUTES.tiles}/${encodeURIComponent(layer.udf)}/{z}/{x}/{y}${extension}?${query}`;
}

/** The absolute URL of what a layer's UDF gives as one file, for a view if it takes one. */
export function fileUrl(
  root: string,
  layer: FileSpec,
  options: { shared: Params; kernelId: string; view: Bounds | null },
): string {
  const view = options.view && layer.viewport ? { [layer.viewport]: options.view.join(",") } : {};
  const query = queryOf(layer, { ...mergeParams(layer, options.shared), ...view }, options.kernelId);
  return `${root}${ROUTES.file}/${encodeURIComponent(layer.udf)}.geojson?${query}`;
}

function queryOf(layer: UdfSpec, params: Params, kernelId: string): string {
  const values = Object.entries(params).map(([name, value]) => [name, serialise(value)]);
  return [...values, ["kernel", kernelId], ["v", layer.version]]
    .filter((pair): pair is [string, string] => typeof pair[1] === "string")
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
}

/** Values never hold a brace here: encodeURIComponent has escaped them. */
export function tileUrl(template: string, { z, x, y }: TileId): string {
  return template.replace("{z}", String(z)).replace("{x}", String(x)).replace("{y}", String(y));
}

/** The tile at a place. */
export function tileAt(longitude: number, latitude: number, zoom: number): TileId {
  const z = Math.max(0, Math.floor(zoom));
  const side = 2 ** z;
  const radians = (Math.max(-85.05, Math.min(85.05, latitude)) * Math.PI) / 180;
  const column = ((((longitude + 180) / 360) % 1) + 1) % 1; // maps may be turned around the globe several times
  const row = (1 - Math.asinh(Math.tan(radians)) / Math.PI) / 2;
  return { z, x: Math.min(side - 1, Math.floor(column * side)), y: Math.min(side - 1, Math.floor(row * side)) };
}

/** Longitude and latitude of a tile's middle. */
export function tileCentre({ z, x, y }: TileId): [number, number] {
  const side = 2 ** z;
  const latitude = Math.atan(Math.sinh(Math.PI * (1 - (2 * (y + 0.5)) / side)));
  return [((x + 0.5) / side) * 360 - 180, (latitude * 180) / Math.PI];
}

/** What a tile's media type says it is. */
export function kindOf(mediaType: string | null): Kind {
  return mediaType?.startsWith("image/") ? "raster" : "vector";
}
