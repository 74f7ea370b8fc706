/** What the page's address says: parameters in the query, as an address of the UDF has them, and the view behind #. */

import { type ControlSpec, type Params, TRAITS, type ViewState } from "../protocol";
import { serialise } from "../tiles/address";
import type { PlainModel } from "./model";

const NOT_PARAMETERS = new Set(["", "format", "kernel", "token", "v", "_xsrf", "cache_max_age"]);

type Reader = (text: string) => unknown;

const asJson: Reader = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text; // the UDF says what is wrong with it
  }
};

const READERS: Partial<Record<ControlSpec["type"], Reader>> = {
  int: asJson,
  float: asJson,
  bool: (text) => text.toLowerCase() === "true",
  list: asJson,
};

/** The parameters that a query sets, with the types that their controls have. */
export function readParams(search: string, controls: readonly ControlSpec[]): Params {
  const types = new Map(controls.map(({ name, type }) => [name, type]));
  const found = [...new URLSearchParams(search)].filter(([name]) => !NOT_PARAMETERS.has(name));
  return Object.fromEntries(
    found.map(([name, text]) => {
      const type = types.get(name);
      return [name, (type && READERS[type]?.(text)) ?? text];
    }),
  );
}

/** A query that sets these; parameters as their controls begin are left out, so that a new default counts. */
export function writeParams(params: Params, controls: readonly ControlSpec[]): string {
  const defaults = new Map(controls.map(({ name, value }) => [name, serialise(value)]));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    const text = serialise(value);
    if (text !== null && text !== defaults.get(name)) query.set(name, text);
  }
  const text = query.toString();
  return text ? `?${text}` : "";
}

/** `#5.2/37.77/-122.41`: zoom, latitude, longitude, as OpenStreetMap has them. */
export function readPlace(hash: string): ViewState | null {
  const numbers = hash
    .replace(/^#/, "")
    .split("/")
    .map((part) => (part.trim() ? Number(part) : Number.NaN));
  if (numbers.length !== 3 || !numbers.every(Number.isFinite)) return null;
  const [zoom, latitude, longitude] = numbers as [number, number, number];
  return Math.abs(latitude) <= 90 && zoom >= 0 ? { zoom, latitude, longitude } : null;
}

export function writePlace({ zoom, latitude, longitude }: ViewState): string {
  return `#${Number(zoom.toFixed(2))}/${Number(latitude.toFixed(5))}/${Number(longitude.toFixed(5))}`;
}

/** Keeps the model equal to the page's address, and the address to the model. */
export class AddressBar {
  /** What the map begins with where the address says nothing. */
  readonly #starts: Params;

  constructor(
    private readonly model: PlainModel,
    /** Whether it holds parameters too; those of a file on a disk cannot change. */
    private readonly hasParams: boolean,
  ) {
    this.#starts = (model.get(TRAITS.params) ?? {}) as Params;
    this.#take({ isStart: true });
    model.on(`change:${TRAITS.viewState}`, () => this.#tellPlace());
    if (hasParams) model.on(`change:${TRAITS.params}`, () => this.#tellParams());
    addEventListener("popstate", () => this.#take({ isStart: false }));
  }

  get #controls(): ControlSpec[] {
    return (this.model.get(TRAITS.controls) as ControlSpec[] | undefined) ?? [];
  }

  #take({ isStart }: { isStart: boolean }): void {
    const place = readPlace(location.hash);
    if (place) {
      this.model.set(TRAITS.bounds, null);
      this.model.set(TRAITS.center, [place.longitude, place.latitude]);
      this.model.set(TRAITS.zoom, place.zoom);
      if (!isStart) this.model.tell({ kind: "fly" });
    }
    const said = readParams(location.search, this.#controls);
    if (this.hasParams) this.model.set(TRAITS.params, { ...this.#starts, ...said });
  }

  /** Moving around is no history: one step back is one value back. */
  #tellPlace(): void {
    const place = this.model.get(TRAITS.viewState) as ViewState;
    history.replaceState(null, "", location.pathname + location.search + writePlace(place));
  }

  #tellParams(): void {
    const search = writeParams(this.model.get(TRAITS.params) as Params, this.#controls);
    if (search !== location.search) history.pushState(null, "", location.pathname + search + location.hash);
  }
}
