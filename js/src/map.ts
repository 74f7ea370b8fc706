/** The map itself: everything that needs MapLibre. Built into map.js, which a page loads once. */

import * as maplibregl from "maplibre-gl";
import maplibreCss from "maplibre-gl/dist/maplibre-gl.css?raw";
import workerSource from "maplibre-gl/dist/maplibre-gl-worker.mjs?raw";
import { Basemap, BLANK, fetchWorld } from "./layers/basemap";
import { FailureMarks } from "./layers/marks";
import { LayerStack } from "./layers/stack";
import type { TileContext } from "./layers/tiled";
import type { Server } from "./link/server";
import { showControls } from "./panel/controls";
import { layerPanel } from "./panel/layers";
import panelCss from "./panel/panel.css?raw";
import { draw } from "./pointer/draw";
import { pointer } from "./pointer/pointer";
import { type LayerSpec, type LayerState, listen, type Model, type Params, TRAITS, write } from "./protocol";
import { legend } from "./style/legend";
import { Looks } from "./style/looks";
import { tileAt } from "./tiles/address";
import { TileFeed } from "./tiles/feed";
import { KindFinder } from "./tiles/kinds";
import { Camera } from "./view/camera";
import { picture } from "./view/picture";
import { Actor, type Drawn, type Place, type Start } from "./view/stage";
import type { StatusLine } from "./view/status";
import { sync } from "./view/sync";
import type { Part, View } from "./view/view";

// MapLibre 6 looks for its worker beside its own file; a file from a Blob has no beside.
maplibregl.setWorkerUrl(URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })));

/** What a map has besides layers, in the order in which it is built. */
const PARTS: readonly Part[] = [showControls, pointer, draw, sync, picture, legend, layerPanel];

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
  return new Actor(context, (start) => new MapView({ ...context, ...start }));
}

let protocols = 0;

class MapView implements Drawn {
  readonly #end = new AbortController();
  readonly #map: maplibregl.Map;
  readonly #marks: FailureMarks;
  readonly #looks = new Looks(this.#end.signal);
  #feed: TileFeed | null = null;
  #kinds: KindFinder | null = null;
  #layers: LayerStack | null = null;
  #basemap: Basemap | null = null;
  #reportTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly context: MapContext & Start) {
    const { model, host, server, addStyle } = context;
    addStyle(host, "maplibre-gl", maplibreCss);
    addStyle(host, "fused-panels", panelCss);
    this.#map = createMap(host, (url) => ({ url, headers: server?.headers(url) ?? {} }));
    this.#map.on("error", ({ error }) => this.context.status.update({ note: error?.message ?? "" }));
    this.#map.on("dataloading", () => this.#tellIdle(false));
    this.#map.on("idle", () => this.#tellIdle(!this.#isBusy && (this.#feed?.loading ?? 0) === 0));
    this.#marks = new FailureMarks(this.#map);
    new Camera(model, this.#map, this.#end.signal);
    if (context.place) this.#map.jumpTo(context.place);
    this.#map.on("webglcontextlost", () => this.#end.signal.aborted || context.lost());
    this.#map.once("style.load", () => this.#start());
  }

  retry(): void {
    if (!this.context.server) {
      this.context.reconnect();
      return;
    }
    this.#feed?.retryAll();
  }

  freeze(): { picture: HTMLCanvasElement; place: Place } {
    const { lng, lat } = this.#map.getCenter();
    this.#map.redraw(); // WebGL clears its buffer after each frame
    const source = this.#map.getCanvas();
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [source.width, source.height];
    picture.getContext("2d")?.drawImage(source, 0, 0);
    return { picture, place: { center: [lng, lat], zoom: this.#map.getZoom() } };
  }

  dispose(): void {
    if (this.#reportTimer !== null) clearTimeout(this.#reportTimer);
    this.#end.abort();
    this.#kinds?.clear();
    this.#feed?.clear();
    const container = this.#map.getContainer();
    this.#map.remove();
    container.remove();
  }

  #start(): void {
    const { model, server } = this.context;
    const basemap = this.#underlay(server);
    const showBasemap = () => basemap.show(model.get(TRAITS.basemap));
    listen(model, `change:${TRAITS.basemap}`, showBasemap, this.#end.signal);
    const layers = this.#follow(server);
    showBasemap();
    for (const part of PARTS) part(this.#view(layers));
  }

  #underlay(server: Server | null): Basemap {
    const { host, status } = this.context;
    this.#basemap = new Basemap({
      map: this.#map,
      host,
      fetchWorld: () => fetchWorld(server, (digest) => this.#layers?.ask(digest) ?? Promise.resolve(null)),
      tell: (note) => status.update({ note }),
      changed: () => this.#tellBusy(),
      signal: this.#end.signal,
    });
    return this.#basemap;
  }

  #view(layers: LayerStack): View {
    const { model, host, status, server, addStyle } = this.context;
    const [map, feed, looks, signal] = [this.#map, this.#feed, this.#looks, this.#end.signal];
    return { model, host, map, status, server, layers, looks, feed, signal, addStyle };
  }

  #follow(server: Server | null): LayerStack {
    const { model, status } = this.context;
    const layers = new LayerStack({
      map: this.#map,
      model,
      looks: this.#looks,
      tiles: server && this.#tiles(server),
      changed: () => this.#tellBusy(),
      complain: (note) => status.update({ note }),
      signal: this.#end.signal,
    });
    this.#layers = layers;
    this.#looks.follow(() => layers.restyle(), this.#end.signal);
    const update = () => this.#update();
    for (const trait of [TRAITS.layers, TRAITS.layerStates, TRAITS.params])
      listen(model, `change:${trait}`, update, this.#end.signal);
    this.#map.on("moveend", () => {
      layers.askKindsAgain();
      this.#marks.show(this.#feed?.failures ?? []);
    });
    update();
    return layers;
  }

  #tiles(server: Server): TileContext {
    const map = this.#map;
    const watched = this.#looks.watching(server);
    const feed = new TileFeed(watched, {
      changed: () => this.#tellFeed(),
      retry: (layer, tiles) => this.#layers?.refresh(layer, tiles),
    });
    const centre = (minZoom: number, maxZoom: number) => {
      const { lng, lat } = map.getCenter();
      return tileAt(lng, lat, Math.min(Math.max(map.getZoom(), minZoom), maxZoom));
    };
    const kinds = new KindFinder(watched, feed, centre, () => this.#tellBusy());
    const protocol = serve(feed, this.#looks, this.#end.signal);
    this.#feed = feed;
    this.#kinds = kinds;
    const kernelId = String(this.context.model.get(TRAITS.kernelId));
    return { feed, kinds, root: server.root, kernelId, protocol };
  }

  #update(): void {
    const { model, status } = this.context;
    status.update({ note: "" });
    const states = (model.get(TRAITS.layerStates) ?? []) as LayerState[];
    this.#layers?.update(model.get(TRAITS.layers) as LayerSpec[], model.get(TRAITS.params) as Params, states);
  }

  get #isBusy(): boolean {
    return [this.#kinds, this.#layers, this.#basemap].some((part) => part?.isBusy);
  }

  #tellIdle(idle: boolean): void {
    if (this.#end.signal.aborted) return;
    this.context.status.update({ idle });
    if (idle) this.#looks.settle();
    write(this.context.model, TRAITS.idle, idle);
  }

  /** MapLibre knows nothing of kinds being found out or data on the way; a repaint makes it say that it is idle. */
  #tellBusy(): void {
    this.#tellIdle(false);
    if (!this.#isBusy && !this.#end.signal.aborted) this.#map.triggerRepaint();
  }

  #tellFeed(): void {
    const feed = this.#feed;
    if (!feed || this.#end.signal.aborted) return;
    this.context.status.update({ loading: feed.loading, progress: feed.progress, failures: feed.failures });
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
function serve(feed: TileFeed, looks: Looks, signal: AbortSignal): string {
  protocols += 1;
  const scheme = `fused-${protocols}`;
  maplibregl.addProtocol(scheme, async ({ url }, abort) => {
    const [layer = "", z, x, y] = new URL(url.replace(/^[^:]+/, "http")).pathname.slice(1).split("/");
    const id = { z: Number(z), x: Number(x), y: Number(y) };
    const name = decodeURIComponent(layer);
    const data = await feed.load(name, id, abort.signal);
    looks.learnTile(name, `${z}/${x}/${y}`, data);
    return { data };
  });
  signal.addEventListener("abort", () => maplibregl.removeProtocol(scheme), { once: true });
  return scheme;
}
