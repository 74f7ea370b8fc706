/** Which tiles lie in view: to ask for them before MapLibre does. */

import type { Map as MapLibreMap } from "maplibre-gl";
import type { Bounds, Kind } from "../protocol";
import type { TileId } from "./address";

export type Viewport = Pick<MapLibreMap, "getBounds" | "getZoom">;

/** What of a layer decides its tiles. */
export interface Extent {
  visible: boolean;
  min_zoom: number;
  max_zoom: number;
  tile_size: number;
  bounds: Bounds | null;
}

/** The tiles of a layer that MapLibre would ask for here, on a flat map with its north up. */
export function tilesInView(map: Viewport, spec: Extent, kind: Kind): TileId[] {
  const z = zoomOf(map.getZoom(), spec, kind);
  if (!spec.visible || z < spec.min_zoom) return [];
  const bounds = map.getBounds();
  const side = 2 ** z;
  const [west, east] = [column(bounds.getWest(), side), column(bounds.getEast(), side)];
  const [north, south] = [row(bounds.getNorth(), side), row(bounds.getSouth(), side)];
  const tiles = new Map<string, TileId>();
  for (let y = Math.max(0, Math.floor(north)); y <= Math.min(side - 1, Math.ceil(south) - 1); y++) {
    for (let x = Math.floor(west); x <= Math.ceil(east) - 1; x++) {
      const id = { z, x: ((x % side) + side) % side, y };
      if (isWithin(id, spec.bounds)) tiles.set(`${id.x}/${y}`, id);
    }
  }
  return [...tiles.values()];
}

/** MapLibre rounds the zoom of pictures, and draws vector tiles at 512 pixels or more. */
function zoomOf(zoom: number, spec: Extent, kind: Kind): number {
  const z = kind === "raster" ? Math.round(zoom + Math.log2(512 / spec.tile_size)) : Math.floor(zoom);
  return Math.min(Math.max(0, z), spec.max_zoom);
}

function column(longitude: number, side: number): number {
  return ((longitude + 180) / 360) * side;
}

function row(latitude: number, side: number): number {
  const radians = (Math.max(-85.0511, Math.min(85.0511, latitude)) * Math.PI) / 180;
  return ((1 - Math.asinh(Math.tan(radians)) / Math.PI) / 2) * side;
}

function isWithin({ z, x, y }: TileId, bounds: Bounds | null): boolean {
  if (!bounds) return true;
  const side = 2 ** z;
  const [west, south, east, north] = bounds;
  return (
    x < Math.ceil(column(east, side)) &&
    x >= Math.floor(column(west, side)) &&
    y < Math.ceil(row(south, side)) &&
    y >= Math.floor(row(north, side))
  );
}
