/** Keeps what the map draws equal to the trait `layers` and to what the user chose in the layer panel. */

import type { Map as MapLibreMap } from "maplibre-gl";
import type { FileSpec, LayerSpec, LayerState, Model, Params } from "../protocol";
import type { Looks } from "../style/looks";
import type { TileId } from "../tiles/address";
import { Contents } from "./contents";
import { Drawn } from "./drawn";
import { asTiles, FileLayers } from "./file";
import { FEATURES, HeldLayers, IMAGES } from "./held";
import { withStates } from "./states";
import { type TileContext, TiledLayers } from "./tiled";

export { sourceId } from "./drawn";

/** Draws the layers of one type. */
export interface Room<S extends LayerSpec> {
  /** Draws a layer, or what has changed in it. */
  place(spec: S, params: Params): void;
  /** The layer is gone, or of another type now. */
  forget(name: string): void;
  /** Loads again what failed. */
  refresh?(name: string, tiles: TileId[]): void;
  /** Addresses of what the layer would load here and now. */
  urlsInView?(spec: S, params: Params, map: MapLibreMap): string[];
}

export interface LayerContext {
  map: MapLibreMap;
  model: Model;
  looks: Looks;
  /** Null where there is no server: then layers of UDFs are not drawn. */
  tiles: TileContext | null;
  /** Calls back when the stack begins or ends to wait for data. */
  changed: () => void;
  /** Tells the user. */
  complain: (note: string) => void;
  signal: AbortSignal;
}

export class LayerStack {
  #specs: LayerSpec[] = [];
  #states: LayerState[] = [];
  #params: Params = {};
  /** The types of the layers that are placed. */
  readonly #types = new Map<string, LayerSpec["type"]>();
  /** File layers that are drawn as tiles, by name, with the version that is. */
  readonly #tiled = new Map<string, string>();
  readonly #drawn: Drawn;
  readonly #contents: Contents;
  readonly #rooms: Partial<Record<LayerSpec["type"], Room<LayerSpec>>>;

  constructor(private readonly context: LayerContext) {
    const { looks, map, model, signal, tiles, complain } = context;
    this.#drawn = new Drawn(map, looks);
    this.#contents = new Contents(model, signal);
    const changed = () => this.#changed();
    this.#rooms = {
      features: new HeldLayers(this.#drawn, FEATURES, this.#contents, changed, complain) as Room<LayerSpec>,
      image: new HeldLayers(this.#drawn, IMAGES, this.#contents, changed, complain) as Room<LayerSpec>,
    };
    if (!tiles) return;
    const becomeTiles = (spec: FileSpec) => this.#becomeTiles(spec);
    const files = new FileLayers(this.#drawn, { ...tiles, map, signal }, becomeTiles, changed);
    this.#rooms.tiles = new TiledLayers(this.#drawn, tiles, () => this.#place()) as Room<LayerSpec>;
    this.#rooms.file = files as Room<LayerSpec>;
  }

  /** Whether it waits for data from Python. */
  get isBusy(): boolean {
    return this.#contents.isBusy;
  }

  /** What Python holds under that name; null where nobody answers. */
  ask(digest: string): Promise<ArrayBuffer | null> {
    return this.#contents.ask(digest);
  }

  /** The layers as they are seen, the lowest first. */
  get shown(): LayerSpec[] {
    return withStates(this.#specs, this.#states);
  }

  /** The same, with file layers that are drawn as tiles as such. */
  get drawn(): LayerSpec[] {
    return this.shown.map((spec) => this.#asDrawn(spec));
  }

  update(specs: LayerSpec[], params: Params, states: LayerState[] = []): void {
    this.#specs = specs;
    this.#states = states;
    this.#params = params;
    this.#place();
  }

  /** Draws again what looks otherwise now. */
  restyle(): void {
    this.#place();
  }

  /** Asks again for tiles that failed. */
  refresh(name: string, tiles: TileId[]): void {
    const type = this.#types.get(name);
    if (type === "tiles" && !this.#drawn.has(name)) this.askKindsAgain();
    else if (type) this.#rooms[type]?.refresh?.(name, tiles);
  }

  /** Layers whose first tile failed or was empty still have no kind. */
  askKindsAgain(): void {
    this.context.tiles?.kinds.forgetFailures();
    this.#place((spec) => spec.type === "tiles" && !this.#drawn.has(spec.name));
  }

  /** Addresses of what the view would need with other values; nothing of layers that these do not change. */
  urlsInView(params: Params): string[] {
    return this.drawn.flatMap((spec) => {
      const urls = (values: Params) => this.#rooms[spec.type]?.urlsInView?.(spec, values, this.context.map) ?? [];
      const now = new Set(urls(this.#params));
      return spec.visible ? urls(params).filter((url) => !now.has(url)) : [];
    });
  }

  #place(wants: (spec: LayerSpec) => boolean = () => true): void {
    if (!this.#drawn.isReady) {
      void this.#drawn.ready().then(() => this.#place());
      return;
    }
    const specs = this.drawn;
    for (const [name, type] of this.#types) {
      if (specs.every((spec) => spec.name !== name || spec.type !== type)) this.#forget(name, type);
    }
    for (const spec of specs) {
      if (!wants(spec)) continue;
      this.#types.set(spec.name, spec.type);
      this.#rooms[spec.type]?.place(spec, this.#params);
    }
    this.#drawn.order(specs.map(({ name }) => name));
  }

  #asDrawn(spec: LayerSpec): LayerSpec {
    const isTiled = spec.type === "file" && this.#tiled.get(spec.name) === keyOf(spec);
    return isTiled ? asTiles(spec) : spec;
  }

  #becomeTiles(spec: FileSpec): void {
    this.#tiled.set(spec.name, keyOf(spec));
    this.#place();
  }

  #forget(name: string, type: LayerSpec["type"]): void {
    this.#types.delete(name);
    this.#rooms[type]?.forget(name);
    this.#drawn.remove(name);
    this.#drawn.looks.forget(name);
  }

  #changed(): void {
    if (this.context.signal.aborted) return;
    this.#drawn.order(this.shown.map(({ name }) => name));
    this.context.changed();
  }
}

function keyOf({ udf, version }: FileSpec): string {
  return `${udf} ${version}`;
}
