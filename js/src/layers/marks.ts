/**
 * Says on a failed tile why it failed.
 *
 * Each mark is a button that tells the rest: which tile, of which layer. For the keyboard they are one stop, and the
 * arrow keys go from mark to mark; the status line has told screen readers already that there are some.
 */

import { type Map as MapLibreMap, Marker } from "maplibre-gl";
import type { TileFailure } from "../protocol";
import { tileCentre } from "../tiles/address";
import { errorText } from "../view/status";

const LIMIT = 30; // marks; the status line counts them all
const ZOOM_DISTANCE = 1.6; // raster tiles lie a zoom deeper than the map; those of a zoom left behind only clutter
const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

interface Mark {
  text: string;
  button: HTMLButtonElement;
  marker: Marker;
}

export class FailureMarks {
  readonly #marks = new Map<string, Mark>();

  constructor(private readonly map: MapLibreMap) {}

  /** Marks these and no others; of several failures on one tile, the first. */
  show(failures: readonly TileFailure[]): void {
    const wanted = new Map<string, TileFailure>();
    for (const failure of failures) {
      const isNear = Math.abs(Number.parseInt(failure.tile, 10) - this.map.getZoom()) < ZOOM_DISTANCE;
      if (isNear && wanted.size < LIMIT && !wanted.has(failure.tile)) wanted.set(failure.tile, failure);
    }
    for (const [tile, { text, marker }] of this.#marks) {
      const failure = wanted.get(tile);
      if (failure && errorText(failure) === text) continue;
      marker.remove();
      this.#marks.delete(tile);
    }
    for (const [tile, failure] of wanted) if (!this.#marks.has(tile)) this.#add(tile, failure);
    this.#leaveOneStop();
  }

  #add(tile: string, failure: TileFailure): void {
    const [z = 0, x = 0, y = 0] = tile.split("/").map(Number);
    const text = errorText(failure);
    const button = markOf(text, `tile ${tile} of ${failure.layer}`);
    button.addEventListener("keydown", (event) => this.#walk(event, button));
    button.addEventListener("focus", () => this.#leaveOneStop(button));
    const marker = new Marker({ element: button }).setLngLat(tileCentre({ z, x, y })).addTo(this.map);
    this.#marks.set(tile, { text, button, marker });
  }

  #walk(event: KeyboardEvent, from: HTMLButtonElement): void {
    const step = STEPS[event.key];
    if (!step) return;
    // The map would move under the mark.
    event.preventDefault();
    event.stopPropagation();
    const buttons = [...this.#marks.values()].map(({ button }) => button);
    buttons[(buttons.indexOf(from) + step + buttons.length) % buttons.length]?.focus();
  }

  #leaveOneStop(stop?: HTMLButtonElement): void {
    const buttons = [...this.#marks.values()].map(({ button }) => button);
    const only = stop ?? buttons.find(({ tabIndex }) => tabIndex === 0) ?? buttons[0];
    for (const button of buttons) button.tabIndex = button === only ? 0 : -1;
  }
}

function markOf(text: string, place: string): HTMLButtonElement {
  const button = document.createElement("button");
  const more = document.createElement("span");
  button.type = "button";
  button.className = "fused-tile-error";
  button.tabIndex = -1;
  button.title = text;
  more.textContent = place;
  more.hidden = true;
  button.append(text, more);
  button.setAttribute("aria-label", `${text}, ${place}`);
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", (event) => {
    event.stopPropagation(); // no click on the map below
    more.hidden = !more.hidden;
    button.setAttribute("aria-expanded", String(!more.hidden));
  });
  return button;
}
