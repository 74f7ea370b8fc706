/** Layers whose data Python holds: features and pictures. */

import type { GeoJSONSource, ImageSource } from "maplibre-gl";
import type { Bounds, FeatureSpec, ImageSpec, Kind } from "../protocol";
import type { Contents } from "./contents";
import type { Drawn, FixedSource } from "./drawn";
import { localAddress } from "./local";
import type { Room } from "./stack";

type HeldSpec = FeatureSpec | ImageSpec;
type Corners = [[number, number], [number, number], [number, number], [number, number]];

/** What MapLibre makes of the data of one type of layer. */
interface Medium<S extends HeldSpec> {
  kind: Kind;
  mediaType: string;
  source: FixedSource;
  /** From what travels to what MapLibre reads. */
  unpack(bytes: ArrayBuffer): Promise<ArrayBuffer>;
  /** What changes while the source stays. */
  live(spec: S, url: string): Record<string, unknown>;
  renew(drawn: Drawn, spec: S, url: string): void;
}

export const FEATURES: Medium<FeatureSpec> = {
  kind: "vector",
  mediaType: "application/geo+json",
  // MapLibre's worker reads the address by itself, so that the page stays smooth.
  source: { type: "geojson", generateId: true },
  unpack: (bytes) =>
    new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(),
  live: (_, url) => ({ data: url }),
  renew: (drawn, { name }, url) => drawn.source<GeoJSONSource>(name)?.setData(url),
};

export const IMAGES: Medium<ImageSpec> = {
  kind: "raster",
  mediaType: "image/png",
  source: { type: "image" },
  unpack: async (bytes) => bytes,
  live: ({ bounds }, url) => ({ url, coordinates: cornersOf(bounds) }),
  renew: (drawn, { name, bounds }, url) =>
    drawn.source<ImageSource>(name)?.updateImage({ url, coordinates: cornersOf(bounds) }),
};

interface Held {
  /** Digest and place of what is shown. */
  key: string;
  url: string;
}

export class HeldLayers<S extends HeldSpec> implements Room<S> {
  readonly #specs = new Map<string, S>();
  /** What was asked for last, by name. */
  readonly #asked = new Map<string, string>();
  readonly #held = new Map<string, Held>();

  constructor(
    private readonly drawn: Drawn,
    private readonly medium: Medium<S>,
    private readonly contents: Contents,
    /** Calls back when a layer has become visible, or asks for something. */
    private readonly changed: () => void,
    /** Tells the user. */
    private readonly complain: (note: string) => void,
  ) {}

  place(spec: S): void {
    const key = keyOf(spec);
    this.#specs.set(spec.name, spec);
    if (this.#held.get(spec.name)?.key === key) this.drawn.restyle(spec, this.medium.kind, this.medium.source.type);
    if (this.#asked.get(spec.name) === key) return;
    this.#asked.set(spec.name, key);
    void this.#load(spec);
  }

  forget(name: string): void {
    this.#specs.delete(name);
    this.#asked.delete(name);
    this.#release(name);
  }

  async #load(spec: S): Promise<void> {
    const asking = this.contents.ask(spec.data);
    this.changed();
    const packed = await asking;
    const bytes = packed && (await this.medium.unpack(packed));
    await this.drawn.ready();
    // Meanwhile the layer may have got other data, another look, or gone.
    const latest = this.#specs.get(spec.name);
    const isWanted = latest && keyOf(latest) === keyOf(spec);
    if (bytes && isWanted) this.#show(latest, bytes);
    else if (isWanted) this.complain(`layer ${spec.name}: its data did not come; run its cell again`);
    this.changed();
  }

  #show(spec: S, bytes: ArrayBuffer): void {
    const { drawn, medium } = this;
    if (medium.kind === "vector") drawn.looks.learnFile(spec.name, bytes);
    const url = localAddress(bytes, medium.mediaType);
    if (!drawn.draw(spec, medium.kind, medium.source, medium.live(spec, url))) medium.renew(drawn, spec, url);
    this.#release(spec.name);
    this.#held.set(spec.name, { key: keyOf(spec), url });
  }

  #release(name: string): void {
    const held = this.#held.get(name);
    this.#held.delete(name);
    // Not at once: MapLibre may be about to read it.
    if (held) setTimeout(() => URL.revokeObjectURL(held.url), 10_000);
  }
}

function keyOf({ data, bounds }: HeldSpec): string {
  return `${data} ${JSON.stringify(bounds)}`;
}

/** From the upper left, clockwise; east exceeds 180 across the antimeridian. */
export function cornersOf(bounds: Bounds | null): Corners {
  const [west, south, east, north] = bounds ?? [-180, -85, 180, 85];
  const unrolled = west > east ? east + 360 : east;
  return [
    [west, north],
    [unrolled, north],
    [unrolled, south],
    [west, south],
  ];
}
