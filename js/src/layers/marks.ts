/** Says on a failed tile why it failed. */

import { type Map as MapLibreMap, Marker } from "maplibre-gl";
import type { TileFailure } from "../protocol";
import { tileCentre } from "../tiles/address";
import { errorText } from "../view/status";

const LIMIT = 30; // marks; the status line counts them all
const ZOOM_DISTANCE = 1.6; // raster tiles lie a zoom deeper than the map; those of a zoom left behind only clutter

export class FailureMarks {
  readonly #marks = new Map<string, { text: string; marker: Marker }>();

  constructor(private readonly map: MapLibreMap) {}

  /** Marks these and no others; of several failures on one tile, the first. */
  show(failures: readonly TileFailure[]): void {
    const wanted = new Map<string, string>();
    for (const failure of failures) {
      const isNear = Math.abs(Number.parseInt(failure.tile, 10) - this.map.getZoom()) < ZOOM_DISTANCE;
      if (isNear && wanted.size < LIMIT && !wanted.has(failure.tile)) wanted.set(failure.tile, errorText(failure));
    }
    for (const [tile, { text, marker }] of this.#marks) {
      if (wanted.get(tile) === text) continue;
      marker.remove();
      this.#marks.delete(tile);
    }
    for (const [tile, text] of wanted) if (!this.#marks.has(tile)) this.#add(tile, text);
  }

  #add(tile: string, text: string): void {
    const [z = 0, x = 0, y = 0] = tile.split("/").map(Number);
    const element = document.createElement("div");
    element.className = "fused-tile-error";
    element.textContent = text;
    // The status line says it to screen readers, once.
    element.setAttribute("aria-hidden", "true");
    const marker = new Marker({ element }).setLngLat(tileCentre({ z, x, y })).addTo(this.map);
    this.#marks.set(tile, { text, marker });
  }
}
