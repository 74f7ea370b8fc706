/** The map itself: everything that needs MapLibre. Built into map.js, which a page loads once. */

import * as maplibregl from "maplibre-gl";
import maplibreCss from "maplibre-gl/dist/maplibre-gl.css?raw";
import workerSource from "maplibre-gl/dist/maplibre-gl-worker.mjs?raw";
import { Basemap, BLANK } from "./layers/basemap";
import { FailureMarks } from "./layers/marks";
import { LayerStack } from "./layers/stack";
import type { Server } from "./link/server";
import { ControlPanel } from "./panel/controls";
import { type LayerSpec, listen, type Model, type Params, TRAITS, write } from "./protocol";
import { tileAt } from "./tiles/address";
import { TileFeed } from "./tiles/feed";
import { KindFinder } from "./tiles/kinds";
import { Camera } from "./view/camera";
import type { StatusLine } from "./view/status";
import type { Part, View } from "./view/view";

// MapLibre 6 looks for its worker beside its own file; a file from a Blob has no beside.
maplibregl.setWorkerUrl(URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })));

/** What a map has besides layers, in the order in which it is built. */
const PARTS: readonly Part[] = [];

const REPORT_DELAY = 200; // ms; tiles fail in dozens
const REPORTED_FAILURES = 20;

export interface MapContext {
  model: Model;
  host: HTMLElement;
  status: StatusLine;
  /** Null where no server was found: then the map shows its basemap only. */
  server: Server | null;
  /** Looks for a server again. */
  reconnect: () => void;
  addStyle: (near: HTMLElement, id: string, css: string) => void;
}

export interface MountedMap {
  retry(): void;
  dispose(): void;
}

export function mount(context: MapContext): MountedMap {
  return new MapView(context);
}

let protocols = 0;

class MapView implements MountedMap {
  readonly #end = new AbortController();
  readonly #map: maplibregl.Map;
  readonly #marks: FailureMarks;
  #feed: TileFeed | null = null;
  #kinds: KindFinder | null = null;
  #layers: LayerStack | null = null;
  #reportTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly context: MapContext) {
    const { model, host, server, addStyle } = context;
    addStyle(host, "maplibre-gl", maplibreCss);
    this.#map = createMap(host, (url) => ({ url, headers: server?.headers(url) ?? {} }));
    this.#map.on("error", ({ error }) => this.context.status.update({ note: error?.message ?? "" }));
    this.#map.on("dataloading", () => this.#tellIdle(false));
    this.#map.on("idle", () => this.#tellIdle(!this.#kinds?.isBusy && (this.#feed?.loading ?? 0) === 0));
    this.#marks = new FailureMarks(this.#map);
    new ControlPanel(model, host, (params) => this.#update(params), this.#end.signal);
    new Camera(model, this.#map, this.#end.signal);
    this.#map.once("style.load", () => this.#start());
  }

  retry(): void {
    if (!this.context.server) {
      this.context.reconnect();
      return;
    }
    this.#feed?.retryAll();
  }

  dispose(): void {
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#end.abort();
    this.#kinds?.clear();
    this.#feed?.clear();
    this.#map.remove();
  }

  #start(): void {
    const { model, server, status } = this.context;
    const basemap = new Basemap(this.#map, (note) => status.update({ note }), this.#end.signal);
    const showBasemap = () => basemap.show(model.get(TRAITS.basemap));
    listen(model, `change:${TRAITS.basemap}`, showBasemap, this.#end.signal);
    showBasemap();
    if (server) this.#follow(server);
    for (const part of PARTS) part(this.#view());
  }

  #view(): View {
    const { model, host, status, server, addStyle } = this.context;
    const [map, layers, feed, signal] = [this.#map, this.#layers, this.#feed, this.#end.signal];
    return { model, host, map, status, server, layers, feed, signal, addStyle };
  }

  #follow(server: Server): void {
    const { model } = this.context;
    this.#layers = this.#stack(server);
    const update = () => this.#update(model.get(TRAITS.params) as Params);
    listen(model, `change:${TRAITS.layers}`, update, this.#end.signal);
    listen(model, `change:${TRAITS.params}`, update, this.#end.signal);
    this.#map.on("moveend", () => {
      this.#layers?.askKindsAgain();
      this.#marks.show(this.#feed?.failures ?? []);
    });
    update();
  }

  #stack(server: Server): LayerStack {
    const map = this.#map;
    const feed = new TileFeed(server, {
      changed: () => this.#tellFeed(),
      retry: (layer, tiles) => this.#layers?.refresh(layer, tiles),
    });
    const centre = (minZoom: number, maxZoom: number) => {
      const { lng, lat } = map.getCenter();
      return tileAt(lng, lat, Math.min(Math.max(map.getZoom(), minZoom), maxZoom));
    };
    const kinds = new KindFinder(server, feed, centre, () => this.#tellKinds());
    const protocol = serve(feed, this.#end.signal);
    this.#feed = feed;
    this.#kinds = kinds;
    const kernelId = String(this.context.model.get(TRAITS.kernelId));
    return new LayerStack({ map, feed, kinds, root: server.root, kernelId, protocol });
  }

  #update(params: Params): void {
    this.context.status.update({ note: "" });
    this.#layers?.update(this.context.model.get(TRAITS.layers) as LayerSpec[], params);
  }

  #tellIdle(idle: boolean): void {
    if (this.#end.signal.aborted) return;
    this.context.status.update({ idle });
    write(this.context.model, TRAITS.idle, idle);
  }

  /** MapLibre knows nothing of kinds being found out; a repaint makes it say that it is idle. */
  #tellKinds(): void {
    this.#tellIdle(false);
    if (!this.#kinds?.isBusy && !this.#end.signal.aborted) this.#map.triggerRepaint();
  }

  #tellFeed(): void {
    const feed = this.#feed;
    if (!feed || this.#end.signal.aborted) return;
    this.context.status.update({ loading: feed.loading, failures: feed.failures });
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = null;
      this.#marks.show(feed.failures);
      write(this.context.model, TRAITS.tileErrors, feed.failures.slice(0, REPORTED_FAILURES));
    }, REPORT_DELAY);
  }
}

function createMap(host: HTMLElement, transformRequest: maplibregl.RequestTransformFunction): maplibregl.Map {
  const container = document.createElement("div");
  container.className = "fused-canvas";
  host.prepend(container);
  const map = new maplibregl.Map({
    container,
    style: BLANK,
    transformRequest,
    attributionControl: false,
    // View state is longitude, latitude and zoom: the map stays flat and its north up.
    dragRotate: false,
    touchPitch: false,
    maxPitch: 0,
    fadeDuration: 0,
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-left");
  map.addControl(new maplibregl.AttributionControl({ compact: true, customAttribution: [] }), "bottom-right");
  return map;
}

/** Lets MapLibre ask a feed for tiles, under the scheme that this gives. */
function serve(feed: TileFeed, signal: AbortSignal): string {
  protocols += 1;
  const scheme = `fused-${protocols}`;
  maplibregl.addProtocol(scheme, async ({ url }, abort) => {
    const [layer = "", z, x, y] = new URL(url.replace(/^[^:]+/, "http")).pathname.slice(1).split("/");
    const id = { z: Number(z), x: Number(x), y: Number(y) };
    return { data: await feed.load(decodeURIComponent(layer), id, abort.signal) };
  });
  signal.addEventListener("abort", () => maplibregl.removeProtocol(scheme), { once: true });
  return scheme;
}
