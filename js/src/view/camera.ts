/** Where the map looks: at first, when Python says so, and what it tells Python. */

import type { Map as MapLibreMap } from "maplibre-gl";
import { type Bounds, type CustomMessage, listen, MESSAGES, type Model, TRAITS, write } from "../protocol";

const WORLD: Bounds = [-180, -58, 180, 76]; // the poles are empty in Mercator and would halve the scale
const DEBOUNCE = 300; // ms
const PADDING = 24; // px
const FLIGHT = 1500; // ms, around the globe too

export class Camera {
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isResizing = false;
  /** Whether a place was chosen that Python has not heard of. */
  #hasChosen = false;

  constructor(
    private readonly model: Model,
    private readonly map: MapLibreMap,
    signal: AbortSignal,
  ) {
    listen(model, `change:${TRAITS.bounds}`, () => this.#fit({ animate: true }), signal);
    const answers: Record<string, () => void> = {
      [MESSAGES.fit]: () => this.#fit({ animate: true }),
      [MESSAGES.fly]: () => this.#fly(),
    };
    listen(model, "msg:custom", ({ kind }: CustomMessage) => answers[kind]?.(), signal);
    // A resize ends as a move, but tells nothing of what the user wants to see. (Only some moves by hand carry an
    // originalEvent: those by wheel do not.)
    map.on("resize", () => {
      this.#isResizing = !map.isMoving();
    });
    map.on("moveend", () => this.#moved());
    signal.addEventListener("abort", () => this.#timer !== null && clearTimeout(this.#timer), { once: true });
    this.#start();
  }

  #start(): void {
    // A notebook may draw a widget in a hidden tab first; a fit to no size ends at the deepest zoom.
    if (this.map.getContainer().clientWidth === 0) {
      this.map.once("resize", () => this.#start());
      return;
    }
    const center = this.model.get(TRAITS.center) as [number, number] | null;
    const zoom = this.model.get(TRAITS.zoom) as number | null;
    const bounds = this.model.get(TRAITS.bounds) as Bounds | null;
    if (bounds || !center) this.#fitTo(bounds ?? WORLD, { animate: false });
    if (!bounds && center) this.map.jumpTo({ center, zoom: zoom ?? 9 });
    else if (!bounds && zoom !== null) this.map.jumpTo({ zoom });
  }

  #fit(options: { animate: boolean }): void {
    const bounds = this.model.get(TRAITS.bounds) as Bounds | null;
    if (bounds) this.#fitTo(bounds, options);
  }

  #fly(): void {
    const center = this.model.get(TRAITS.center) as [number, number] | null;
    const zoom = this.model.get(TRAITS.zoom) as number | null;
    if (center) this.map.flyTo({ center, zoom: zoom ?? this.map.getZoom(), duration: FLIGHT });
  }

  #fitTo([west, south, east, north]: Bounds, { animate }: { animate: boolean }): void {
    const unrolled = west > east ? east + 360 : east; // across the antimeridian
    const options = { padding: PADDING, animate, duration: 400, maxZoom: 18 };
    this.map.fitBounds([west, south, unrolled, north], options);
  }

  #moved(): void {
    this.#hasChosen ||= !this.#isResizing;
    this.#isResizing = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tell(), DEBOUNCE);
  }

  #tell(): void {
    const { lng, lat } = this.map.getCenter().wrap();
    const state = { longitude: round(lng, 6), latitude: round(lat, 6), zoom: round(this.map.getZoom(), 3) };
    write(this.model, TRAITS.viewBounds, boundsInView(this.map));
    if (this.#hasChosen) write(this.model, TRAITS.viewState, state);
    this.#hasChosen = false;
  }
}

/** What a map shows; west exceeds east across the antimeridian. */
export function boundsInView(map: Pick<MapLibreMap, "getBounds">): Bounds {
  const bounds = map.getBounds();
  const [south, north] = [round(bounds.getSouth(), 6), round(bounds.getNorth(), 6)];
  if (bounds.getEast() - bounds.getWest() >= 360) return [-180, south, 180, north];
  const [west, east] = [bounds.getWest(), bounds.getEast()].map((longitude) => round(wrapped(longitude), 6));
  // The eastern edge of the world is 180, not the -180 of its other side.
  return [west as number, south, east === -180 ? 180 : (east as number), north];
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function wrapped(longitude: number): number {
  return ((((longitude + 180) % 360) + 360) % 360) - 180;
}
