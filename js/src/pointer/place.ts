/** Which pixel of which tile lies under a place. */

import { type TileId, tileAt } from "../tiles/address";

/** A tile and where in it, from 0 at its left and top to 1. */
export interface PlaceInTile {
  tile: TileId;
  across: number;
  down: number;
}

const SCREEN_TILE = 512; // px that a MapLibre zoom counts by

/** The zoom of the raster tiles that MapLibre draws; null where it draws none. */
export function rasterZoom(
  mapZoom: number,
  { min_zoom, max_zoom, tile_size }: { min_zoom: number; max_zoom: number; tile_size: number },
): number | null {
  const zoom = Math.max(0, Math.round(mapZoom + Math.log2(SCREEN_TILE / tile_size)));
  return zoom < min_zoom ? null : Math.min(zoom, max_zoom);
}

/** The tile at a place, and how far in it the place is. */
export function placeInTile(longitude: number, latitude: number, zoom: number): PlaceInTile {
  const tile = tileAt(longitude, latitude, zoom);
  const side = 2 ** tile.z;
  const turns = ((((longitude + 180) / 360) % 1) + 1) % 1;
  const radians = (Math.max(-85.05, Math.min(85.05, latitude)) * Math.PI) / 180;
  const row = (1 - Math.asinh(Math.tan(radians)) / Math.PI) / 2;
  return { tile, across: inside(turns * side - tile.x), down: inside(row * side - tile.y) };
}

/** Row and column of the pixel there in a picture of that size. */
export function pixelAt({ across, down }: PlaceInTile, size: { height: number; width: number }): [number, number] {
  return [Math.floor(down * size.height), Math.floor(across * size.width)];
}

function inside(part: number): number {
  return Math.min(Math.max(part, 0), 1 - Number.EPSILON);
}
