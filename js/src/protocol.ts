/**
 * The border between the two halves of the map.
 *
 * The twin of the traits is fused_jupyter/widgets/_map.py, of the messages fused_jupyter/widgets/_protocol.py, of the
 * shape of a layer fused_jupyter/widgets/_layers, and of a control fused_jupyter/udfs/controls/specs.py; tests/widgets
 * compares them.
 */

import type { StyleSpec } from "./style/spec";

/** Names of the synced traits. */
export const TRAITS = {
  // Written by Python.
  layers: "layers",
  controls: "controls",
  layerPanel: "layer_panel",
  basemap: "basemap",
  height: "height",
  center: "center",
  zoom: "zoom",
  bounds: "bounds",
  kernelId: "kernel_id",
  bundleHash: "bundle_hash",
  serverUrl: "server_url",
  wantedTransport: "wanted_transport",
  drawTools: "draw_tools",
  syncGroup: "sync_group",
  keepPicture: "keep_picture",
  callbackError: "callback_error",
  showLegend: "show_legend",
  // Written by both.
  params: "params",
  layerStates: "layer_states",
  shapes: "shapes",
  // Written by the page.
  transport: "transport",
  tileErrors: "tile_errors",
  viewState: "view_state",
  viewBounds: "view_bounds",
  clicked: "clicked",
  hovered: "hovered",
  idle: "idle",
} as const;

/** Values of `kind` in custom messages. */
export const MESSAGES = {
  /** The page asks what it would ask the Jupyter server; see link/comm.ts. */
  request: "request",
  /** The page waits for a request no more. */
  cancel: "cancel",
  /** The kernel says that a request is still under way. */
  wait: "wait",
  /** The kernel's answer to a request: status, headers, and the body as a buffer. */
  answer: "answer",
  /** The kernel asks for a fit to bounds that are already the trait's value. */
  fit: "fit",
  /** The kernel asks for a flight to the center and zoom that are already the traits' values. */
  fly: "fly",
  /** The kernel asks for a picture of the map, or the page sends one: as a buffer. */
  picture: "picture",
  /**
   * The page asks for the data of a layer by its digest, or for the numbers of a picture at a place by
   * `digest@longitude,latitude`; the kernel answers with a buffer, or without one where it has none.
   */
  data: "data",
} as const;

/** Addresses below the root of the server; the twin is fused_jupyter/wire/http/routes.py. */
export const ROUTES = {
  ping: "fused/ping",
  file: "fused/run/file",
  tiles: "fused/run/tiles",
  static: "fused/static",
} as const;

/** Headers that both sides read; the twins are in fused_jupyter/wire/http. */
export const HEADERS = {
  client: "X-Fused-Client",
  /** There where an answer cost no run. */
  cached: "x-fused-cached",
  /** What the colours of a picture stand for, and over which range. */
  colors: "x-fused-colors",
  rescale: "x-fused-rescale",
} as const;

/** Which way tiles are to take. */
export type Transport = "auto" | "http" | "comm";

export type Params = Record<string, unknown>;
/** west, south, east, north in degrees. */
export type Bounds = [number, number, number, number];
export type Kind = "raster" | "vector";
/** MapLibre paint properties for each style layer type: fill, line, circle, raster. */
export type Paint = Record<string, Record<string, unknown>>;

/** What all layers have; the twins of all layers are in fused_jupyter/widgets/_layers. */
export interface CommonSpec {
  name: string;
  style: StyleSpec;
  /** Whether the legend names it, or under which title. */
  legend: boolean | string;
  opacity: number;
  visible: boolean;
  min_zoom: number;
  max_zoom: number;
  tooltip: TooltipSpec;
  bounds: Bounds | null;
}

/** What layers of UDFs have. */
export interface UdfSpec extends CommonSpec {
  udf: string;
  /** Digest of the UDF's code; a new one means new data. */
  version: string;
  /** Names that the UDF accepts; null accepts all. */
  parameters: string[] | null;
  /** The layer's own values; they win over the map's. */
  params: Params;
}

/** A UDF's tiles. */
export interface TileSpec extends UdfSpec {
  type: "tiles";
  kind: Kind | "auto";
  tile_size: number;
}

/** The features that a UDF gives in one run. */
export interface FileSpec extends UdfSpec {
  type: "file";
  /** Name of the parameter that takes the view, empty where the layer does not follow it. */
  viewport: string;
}

/** Features that Python holds. */
export interface FeatureSpec extends CommonSpec {
  type: "features";
  /** Digest of the GeoJSON, under which Python gives it. */
  data: string;
}

/** A picture that Python holds. */
export interface ImageSpec extends CommonSpec {
  type: "image";
  /** Digest of the picture, under which Python gives it. */
  data: string;
  /** What its colours mean, as the answers of tiles say it. */
  headers: Record<string, string>;
}

export type LayerSpec = TileSpec | FileSpec | FeatureSpec | ImageSpec;

/** What the user chose in the layer panel; the list goes from the lowest layer to the highest. */
export interface LayerState {
  name: string;
  visible: boolean;
  opacity: number;
  /** Null leaves it to the layer's style. */
  color: string | null;
}

/** Which properties a tooltip shows: some, all, none, or these with their labels. */
export type TooltipSpec = "auto" | "all" | "none" | [name: string, label: string][];

/** How one parameter is set. */
export interface ControlSpec {
  name: string;
  kind: "slider" | "range" | "steps" | "dropdown" | "choices" | "checkbox" | "text" | "number" | "date";
  /** Of the value; of a range, of its two ends. */
  type: "int" | "float" | "str" | "bool" | "list" | "date" | "datetime";
  /** The UDF's default; null where nobody knows it. */
  value: unknown;
  /** Empty means the name. */
  label: string;
  /** Whether the parameter may be left out, which an empty control means. */
  optional: boolean;
  min: number | null;
  max: number | null;
  step: number | null;
  options: [label: string, value: unknown][] | null;
  /** There where the control has a player: how long each value is shown, and whether it starts again. */
  play: { seconds: number; loop: boolean } | null;
}

export interface TileFailure {
  layer: string;
  /** z/x/y; empty for a UDF that was asked for a file. */
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
  /** What the page calls a request. Not `id`: ipykernel 7 keeps a table of all texts of that name. */
  request?: string;
  /** Of a request: what is asked for, below the server's root. */
  path?: string;
  /** Of a request and of its answer. */
  headers?: Record<string, string>;
  /** Of a request for data and of its answer: what is wanted. */
  data?: string;
  /** Of an answer. */
  status?: number;
  /** Of a picture: its media type, its size in pixels, how many of them make one of the page, or why there is none. */
  type?: string;
  width?: number;
  height?: number;
  density?: number;
  error?: string;
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
  send(content: CustomMessage, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  /** ipywidgets', where there is one; JupyterLab's knows how the kernel is. */
  widget_manager?: { kernel?: { status?: string } | null };
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
