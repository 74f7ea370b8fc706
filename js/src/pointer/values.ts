/** The numbers behind a raster's colours: the same tile once more, as an array. */

import type { Server } from "../link/server";
import { type TileId, tileUrl } from "../tiles/address";
import { readError } from "../view/status";
import { type Grid, type PixelValue, readGrid } from "./npy";
import { type PlaceInTile, pixelAt } from "./place";

const KEPT = 12; // tiles; one of 256 px with four bands of doubles has 2 MB
const NOT_ACCEPTABLE = 406; // a chart, say, which is drawn but has no numbers

/** All bands of a pixel. */
export interface PixelReading {
  values: PixelValue[];
  /** Significant digits of their type. */
  digits: number;
}

export class ValueReader {
  readonly #grids = new Map<string, Promise<Grid | null>>();

  constructor(
    private readonly server: Pick<Server, "fetch">,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * The values of the pixel at a place; null where the tile has no numbers.
   *
   * Raises the UDF's error where the tile fails.
   */
  async read(template: string, place: PlaceInTile): Promise<PixelReading | null> {
    const grid = await this.#grid(template, place.tile);
    return grid && { values: grid.pixel(...pixelAt(place, grid)), digits: grid.digits };
  }

  #grid(template: string, tile: TileId): Promise<Grid | null> {
    const url = tileUrl(template, tile);
    const grid = this.#grids.get(url) ?? fetchGrid(this.server, url, this.signal);
    // The last used is the last in the map, so the first is the one to go.
    this.#grids.delete(url);
    this.#grids.set(url, grid);
    const [oldest] = this.#grids.keys();
    if (this.#grids.size > KEPT && oldest !== undefined) this.#grids.delete(oldest);
    // A failure may pass, so the next question asks again.
    grid.catch(() => this.#grids.get(url) === grid && this.#grids.delete(url));
    return grid;
  }
}

async function fetchGrid(server: Pick<Server, "fetch">, url: string, signal: AbortSignal): Promise<Grid | null> {
  const response = await server.fetch(url, { signal });
  if (response.status === 204 || response.status === NOT_ACCEPTABLE) return null;
  if (!response.ok) throw new Error(readError(response.status, response.statusText, await response.text()).error);
  return readGrid(await response.arrayBuffer());
}
