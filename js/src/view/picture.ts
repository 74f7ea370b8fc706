/** Pictures of the map: a whole one when Python asks, and a small one whenever it rests, for saved notebooks. */

import type { Map as MapLibreMap } from "maplibre-gl";
import { type CustomMessage, listen, MESSAGES, TRAITS } from "../protocol";
import { paintElement } from "./paint";
import type { Part, View } from "./view";

/** What lies over the map and belongs into a picture of it. */
const OVERLAYS = ".fused-panel[open]:has(.fused-legend), .maplibregl-ctrl-attrib";

const REST = 1500; // ms without a change, after which the map is kept
const KEPT_BYTES = 110_000; // 150 kB as a notebook writes them; the twin of the limit is in docs/maps/sharing-maps.md
const KEPT_WIDTH = 960; // px

/** A picture, encoded. */
interface Encoded {
  blob: Blob;
  width: number;
  height: number;
}

/** Answers Python's snapshots, and keeps the last look of the map. */
export const picture: Part = (view) => {
  const { model, map, signal } = view;
  const heard = new Set<string>(); // Python asks again until it has an answer
  const take = ({ kind, request = "" }: CustomMessage) => {
    if (kind !== MESSAGES.picture || heard.has(request)) return;
    heard.add(request);
    void answer(view, request);
  };
  listen(model, "msg:custom", take, signal);
  const keeper = new Keeper(view);
  const look = () => keeper.look();
  map.on("idle", look);
  map.on("movestart", () => keeper.wait());
  listen(model, `change:${TRAITS.keepPicture}`, look, signal);
  signal.addEventListener("abort", () => keeper.wait(), { once: true });
};

async function answer(view: View, request: string): Promise<void> {
  try {
    await whenIdle(view);
    const canvas = await drawMap(view);
    await send(view, request, await encode(canvas, "image/png"));
  } catch (error) {
    if (!view.signal.aborted) view.model.send({ kind: MESSAGES.picture, request, error: String(error) });
  }
}

/** Sends a small picture when the map has been at rest for a while, if it looks other than before. */
class Keeper {
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = "";
  /** While it has the map drawn, which then says that it is idle: to look again for that would go on for ever. */
  #isDrawing = false;

  constructor(private readonly view: View) {}

  wait(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  look(): void {
    if (this.#isDrawing) return;
    this.wait();
    const { model, signal, host } = this.view;
    if (signal.aborted || !model.get(TRAITS.keepPicture) || !isInNotebook(host)) return;
    this.#timer = setTimeout(() => void this.#keep(), REST);
  }

  async #keep(): Promise<void> {
    const { host, signal } = this.view;
    if (!isIdle(this.view) || host.clientWidth === 0 || document.hidden) return;
    this.#isDrawing = true;
    const drawing = drawMap(this.view); // the map itself at once, what lies over it later
    this.#isDrawing = false;
    const canvas = await drawing;
    const seen = canvas.toDataURL("image/webp", 0.3);
    if (signal.aborted || seen === this.#last) return;
    this.#last = seen;
    await send(this.view, "", await encodeSmall(canvas));
  }
}

/** Only there can the picture take the map's place; elsewhere it would stand below it. */
function isInNotebook(host: HTMLElement): boolean {
  return host.closest(".jp-OutputArea-child") !== null;
}

function isIdle({ host }: View): boolean {
  return host.dataset.idle === "true";
}

function whenIdle(view: View): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (!isIdle(view)) return;
      view.map.off("idle", look);
      resolve();
    };
    view.signal.addEventListener("abort", () => reject(view.signal.reason), { once: true });
    view.map.on("idle", look);
    look();
  });
}

/** The map in device pixels, with its legend and its attribution. */
async function drawMap({ map, host }: View): Promise<HTMLCanvasElement> {
  const source = map.getCanvas();
  const canvas = document.createElement("canvas");
  canvas.width = source.width;
  canvas.height = source.height;
  const brush = canvas.getContext("2d");
  if (!brush) throw new Error("this browser has no canvas to draw a picture on");
  brush.fillStyle = backgroundOf(host);
  brush.fillRect(0, 0, canvas.width, canvas.height);
  copyFrame(map, brush);
  const frame = source.getBoundingClientRect();
  brush.scale(canvas.width / frame.width, canvas.height / frame.height);
  for (const element of host.querySelectorAll<HTMLElement>(OVERLAYS)) await paintElement(brush, element, frame);
  return canvas;
}

/** WebGL clears its buffer after each frame, so the frame is copied in the same turn in which it is drawn. */
function copyFrame(map: MapLibreMap, brush: CanvasRenderingContext2D): void {
  map.redraw();
  brush.drawImage(map.getCanvas(), 0, 0);
}

/** The map is clear where nothing is drawn, and so may its host be. */
function backgroundOf(host: HTMLElement): string {
  for (let element: HTMLElement | null = host; element; element = element.parentElement) {
    const { backgroundColor } = getComputedStyle(element);
    if (backgroundColor && !/^transparent$|, 0\)$|\/ 0\)$/.test(backgroundColor)) return backgroundColor;
  }
  return "#fff";
}

/** As PNG where that is small enough, else as JPEG, else smaller. */
async function encodeSmall(canvas: HTMLCanvasElement): Promise<Encoded> {
  const density = canvas.width / Math.max(1, canvas.clientWidth || canvas.width / devicePixelRatio);
  let scaled = scale(canvas, Math.min(1 / density, KEPT_WIDTH / canvas.width, 1));
  for (;;) {
    for (const type of ["image/png", "image/jpeg"]) {
      const encoded = await encode(scaled, type);
      if (encoded.blob.size <= KEPT_BYTES) return encoded;
    }
    scaled = scale(scaled, 0.7);
  }
}

function scale(canvas: HTMLCanvasElement, factor: number): HTMLCanvasElement {
  const scaled = document.createElement("canvas");
  scaled.width = Math.max(1, Math.round(canvas.width * factor));
  scaled.height = Math.max(1, Math.round(canvas.height * factor));
  scaled.getContext("2d")?.drawImage(canvas, 0, 0, scaled.width, scaled.height);
  return scaled;
}

function encode(canvas: HTMLCanvasElement, type: string): Promise<Encoded> {
  const { width, height } = canvas;
  return new Promise((resolve, reject) => {
    const settle = (blob: Blob | null) =>
      blob ? resolve({ blob, width, height }) : reject(new Error(`no picture of ${width} by ${height} pixels`));
    canvas.toBlob(settle, type, 0.8);
  });
}

async function send({ model, signal }: View, request: string, { blob, width, height }: Encoded): Promise<void> {
  const bytes = await blob.arrayBuffer();
  if (signal.aborted) return;
  const told = { kind: MESSAGES.picture, request, type: blob.type, width, height, density: devicePixelRatio };
  model.send(told, undefined, [bytes]);
}
