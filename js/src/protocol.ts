/**
 * The border between the two halves of the map.
 *
 * The twin of the traits is fused_jupyter/widgets/_map.py, of the messages fused_jupyter/widgets/_protocol.py, and of
 * the shape of a layer and of a control fused_jupyter/widgets/_layer.py and _controls.py; tests/widgets compares them.
 */

/** Names of the synced traits. */
export const TRAITS = {
  // Written by Python.
  layers: "layers",
  controls: "controls",
  basemap: "basemap",
  height: "height",
  center: "center",
  zoom: "zoom",
  bounds: "bounds",
  kernelId: "kernel_id",
  bundleHash: "bundle_hash",
  serverUrl: "server_url",
  // Written by both.
  params: "params",
  // Written by the page.
  transport: "transport",
  tileErrors: "tile_errors",
  viewState: "view_state",
  idle: "idle",
} as const;

/** Values of `kind` in custom messages. */
export const MESSAGES = {
  /** The page asks the kernel for map.js; the kernel answers with the same kind and one buffer. */
  bundle: "bundle",
  /** The kernel asks for a fit to bounds that are already the trait's value. */
  fit: "fit",
} as const;

export type Params = Record<string, unknown>;
/** west, south, east, north in degrees. */
export type Bounds = [number, number, number, number];
export type Kind = "raster" | "vector";
export type Paint = Record<string, Record<string, unknown>>;

export interface LayerSpec {
  name: string;
  udf: string;
  kind: Kind | "auto";
  /** Digest of the UDF's code; a new one means new tiles. */
  version: string;
  /** Names that the UDF accepts; null accepts all. */
  parameters: string[] | null;
  /** The layer's own values; they win over the map's. */
  params: Params;
  /** MapLibre paint properties for each style layer type: fill, line, circle, raster. */
  paint: Paint;
  opacity: number;
  visible: boolean;
  min_zoom: number;
  max_zoom: number;
  tile_size: number;
  bounds: Bounds | null;
}

export interface ControlSpec {
  name: string;
  kind: "slider" | "checkbox" | "text";
  type: "int" | "float" | "str" | "bool";
  value: unknown;
  min: number | null;
  max: number | null;
  step: number | null;
}

export interface TileFailure {
  layer: string;
  /** z/x/y */
  tile: string;
  /** HTTP status; 0 where no answer came. */
  status: number;
  error: string;
  /** Line in the UDF, counted from 1. */
  line: number | null;
}

export interface ViewState {
  longitude: number;
  latitude: number;
  zoom: number;
}

export interface CustomMessage {
  kind: string;
  /** The run that a `stop` of `%fused_top` is for. */
  run?: string;
}

/** What we use of anywidget's model. */
export interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  // biome-ignore lint/suspicious/noExplicitAny: the arguments depend on the event's name
  on(event: string, callback: (...args: any[]) => void): void;
  // biome-ignore lint/suspicious/noExplicitAny: same
  off(event: string, callback: (...args: any[]) => void): void;
  send(content: CustomMessage): void;
}

/** Calls back on an event of the model until the signal aborts. */
// biome-ignore lint/suspicious/noExplicitAny: same
export function listen(model: Model, event: string, callback: (...args: any[]) => void, signal: AbortSignal): void {
  if (signal.aborted) return;
  model.on(event, callback);
  signal.addEventListener("abort", () => model.off(event, callback), { once: true });
}

/** Writes one trait, if it differs, and sends it to the kernel. */
export function write(model: Model, trait: string, value: unknown): void {
  if (JSON.stringify(model.get(trait)) === JSON.stringify(value)) return;
  model.set(trait, value);
  model.save_changes();
}
