/** Boxes and polygons, drawn by mouse, finger or keyboard; and the shapes that Python puts on the map. */

import type { GeoJSONSource, IControl, LayerSpecification } from "maplibre-gl";
import { listen, TRAITS } from "../protocol";
import { tell, type View } from "../view/view";
import drawCss from "./draw.css?raw";
import { finish, type Position, preview, type Shape, type ShapeKind } from "./shapes";

const SOURCE = "fused-shapes"; // without the prefix of layers, which are ordered and thrown away by others
const COLOR = "#f76707";
const REACH = 8; // px around a corner
const STILL = 4; // px that a click may move
const AFTERMATH = 350; // ms in which what remains of a gesture means nothing to the map

const STYLES: LayerSpecification[] = [
  {
    id: `${SOURCE}-fill`,
    type: "fill",
    source: SOURCE,
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": COLOR, "fill-opacity": 0.15 },
  },
  { id: `${SOURCE}-line`, type: "line", source: SOURCE, paint: { "line-color": COLOR, "line-width": 2 } },
  {
    id: `${SOURCE}-circle`,
    type: "circle",
    source: SOURCE,
    filter: ["==", ["geometry-type"], "Point"],
    paint: { "circle-color": COLOR, "circle-radius": 5, "circle-stroke-color": "#fff", "circle-stroke-width": 1 },
  },
];

const TOOLS: { kind: ShapeKind; label: string; path: string; hint: string }[] = [
  {
    kind: "box",
    label: "Draw a box",
    path: "M3 5h14v10H3z",
    hint: "Drag a box, or press Enter at two corners. Esc ends.",
  },
  {
    kind: "polygon",
    label: "Draw a polygon",
    path: "M10 2.5 17.5 8 15 17H5L2.5 8z",
    hint: "Click or press Enter at each corner, twice at the last. Backspace takes one back, Esc ends.",
  },
];
const CLEAR_PATH = "M4 5.5h12M8 5V3.5h4V5M5.5 5.5l.8 11h7.4l.8-11M8.5 8v6M11.5 8v6";

export function draw(view: View): void {
  const desk = new DrawingDesk(view);
  listen(view.model, `change:${TRAITS.shapes}`, () => desk.show(), view.signal);
  listen(view.model, `change:${TRAITS.drawTools}`, () => desk.equip(), view.signal);
  desk.equip();
  desk.show();
}

class DrawingDesk {
  readonly #tools: Tools;
  #kind: ShapeKind | null = null;
  #corners: Position[] = [];
  #pointer: Position | null = null;
  #pressedAt: [number, number] | null = null;
  #endedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly view: View) {
    const { map, host, signal, addStyle } = view;
    addStyle(host, "draw", drawCss);
    this.#tools = new Tools(
      (kind) => (kind === this.#kind ? this.#end() : this.#begin(kind)),
      () => tell(view, TRAITS.shapes, []),
    );
    map.on("style.load", () => this.show());
    map.on("styledata", () => this.#raise());
    map.on("move", () => this.#followByKey());
    host.addEventListener("keydown", (event) => this.#key(event), { signal, capture: true });
    const canvas = map.getCanvasContainer();
    const on = (name: "pointerdown" | "pointermove" | "pointerup", act: (event: PointerEvent) => void) =>
      canvas.addEventListener(name, (event) => this.#kind && event.isPrimary && act(event), { signal });
    on("pointerdown", (event) => this.#press(event));
    on("pointermove", (event) => this.#drag(event));
    on("pointerup", (event) => this.#release(event));
    // The click that ends a shape is no click on what lies below, and a double one does not zoom.
    for (const name of ["click", "dblclick"]) {
      canvas.addEventListener(name, (event) => this.#isBusy && event.stopPropagation(), { signal, capture: true });
    }
    signal.addEventListener("abort", () => delete host.dataset.drawing, { once: true });
  }

  get #isBusy(): boolean {
    return this.#kind !== null || performance.now() - this.#endedAt < AFTERMATH;
  }

  get #shapes(): Shape[] {
    return (this.view.model.get(TRAITS.shapes) as Shape[] | undefined) ?? [];
  }

  /** Puts the buttons on the map, or takes them off, as the trait says. */
  equip(): void {
    const { map, model } = this.view;
    const wanted = model.get(TRAITS.drawTools) !== false;
    if (wanted && !map.hasControl(this.#tools)) map.addControl(this.#tools, "top-left");
    if (!wanted && map.hasControl(this.#tools)) map.removeControl(this.#tools);
    if (!wanted) this.#end();
  }

  show(): void {
    const { map } = this.view;
    const [shapes, kind, pointer] = [this.#shapes, this.#kind, this.#pointer];
    const drawn = kind && pointer && this.#corners.length > 0 ? [preview(kind, this.#corners, pointer)] : [];
    this.#tools.update(kind, shapes.length > 0);
    const data = { type: "FeatureCollection", features: [...shapes, ...drawn] } as never;
    const source = map.getSource<GeoJSONSource>(SOURCE);
    if (source) source.setData(data);
    else if (shapes.length + drawn.length > 0) {
      map.addSource(SOURCE, { type: "geojson", data });
      for (const style of STYLES) map.addLayer(style);
    }
  }

  /** Shapes lie over all layers, whoever adds or moves one. */
  #raise(): void {
    const { map } = this.view;
    if (!map.getSource(SOURCE)) return;
    const top = map.getLayersOrder().slice(-STYLES.length);
    if (STYLES.some(({ id }, i) => top[i] !== id)) for (const { id } of STYLES) map.moveLayer(id);
  }

  #begin(kind: ShapeKind): void {
    const { map, host } = this.view;
    this.#end();
    this.#kind = kind;
    host.dataset.drawing = kind;
    if (kind === "box") map.dragPan.disable(); // a drag of a polygon still moves the map
    map.boxZoom.disable();
    map.doubleClickZoom.disable();
    map.getCanvas().focus();
    this.show();
  }

  #end(): void {
    if (!this.#kind) return;
    const { map, host } = this.view;
    this.#kind = this.#pointer = this.#pressedAt = null;
    this.#corners = [];
    this.#endedAt = performance.now();
    delete host.dataset.drawing;
    map.dragPan.enable();
    map.boxZoom.enable();
    map.doubleClickZoom.enable();
    this.show();
  }

  // -- by mouse and finger

  #press(event: PointerEvent): void {
    this.#pressedAt = this.#pixel(event);
    if (this.#kind === "box" && this.#corners.length === 0) this.#corners = [this.#place(this.#pressedAt)];
    if (this.#kind === "box") this.view.map.getCanvasContainer().setPointerCapture(event.pointerId);
  }

  #drag(event: PointerEvent): void {
    this.#pointer = this.#place(this.#pixel(event));
    if (this.#corners.length > 0) this.show();
  }

  #release(event: PointerEvent): void {
    if (!this.#kind || !this.#pressedAt) return;
    const pixel = this.#pixel(event);
    const isClick = distance(pixel, this.#pressedAt) <= STILL;
    this.#pressedAt = null;
    if (this.#kind === "polygon") {
      if (isClick) this.#addCorner(pixel);
      return;
    }
    // Two clicks make a box as a drag does.
    const [anchor] = this.#corners;
    if (anchor && distance(pixel, this.#toPixel(anchor)) > STILL) this.#complete([anchor, this.#place(pixel)]);
  }

  #pixel(event: PointerEvent): [number, number] {
    const { left, top } = this.view.map.getCanvasContainer().getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #place(pixel: [number, number]): Position {
    const { lng, lat } = this.view.map.unproject(pixel);
    return [lng, lat];
  }

  #toPixel(position: Position): [number, number] {
    const { x, y } = this.view.map.project(position);
    return [x, y];
  }

  // -- by keyboard

  #key(event: KeyboardEvent): void {
    if (!this.#kind) return;
    const { map } = this.view;
    const act = {
      Escape: () => this.#end(),
      Backspace: () => this.#takeBack(),
      Enter: () => this.#addCorner(this.#toPixel(map.getCenter().toArray())),
    }[event.key];
    // Enter on a button presses that button.
    if (!act || (event.key === "Enter" && event.target !== map.getCanvas())) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  #followByKey(): void {
    if (!this.#kind || this.#corners.length === 0 || document.activeElement !== this.view.map.getCanvas()) return;
    if (!this.view.map.isMoving() || this.#pressedAt) return;
    this.#pointer = this.view.map.getCenter().toArray();
    this.show();
  }

  #takeBack(): void {
    this.#corners = this.#corners.slice(0, -1);
    this.show();
  }

  // -- corners

  #addCorner(pixel: [number, number]): void {
    const [first, last] = [this.#corners[0], this.#corners.at(-1)];
    const isAt = (corner: Position | undefined) => corner && distance(this.#toPixel(corner), pixel) <= REACH;
    if (this.#kind === "polygon" && this.#corners.length > 2 && (isAt(first) || isAt(last))) {
      this.#complete(this.#corners);
      return;
    }
    if (isAt(last)) return;
    this.#corners = [...this.#corners, this.#place(pixel)];
    this.#pointer = this.#place(pixel);
    if (this.#kind === "box" && this.#corners.length === 2) this.#complete(this.#corners);
    else this.show();
  }

  #complete(corners: Position[]): void {
    const shape = this.#kind && finish(this.#kind, corners);
    this.#end();
    if (shape) tell(this.view, TRAITS.shapes, [...this.#shapes, shape]);
  }
}

/** The buttons. */
class Tools implements IControl {
  readonly #element = document.createElement("div");
  readonly #buttons = new Map<ShapeKind, HTMLButtonElement>();
  readonly #hint = document.createElement("div");
  readonly #clear: HTMLButtonElement;

  constructor(onTool: (kind: ShapeKind) => void, onClear: () => void) {
    this.#element.className = "maplibregl-ctrl maplibregl-ctrl-group fused-draw";
    for (const { kind, label, path } of TOOLS) {
      this.#buttons.set(
        kind,
        this.#button(label, path, () => onTool(kind)),
      );
    }
    this.#clear = this.#button("Clear what is drawn", CLEAR_PATH, onClear);
    this.#hint.className = "fused-draw-hint";
    this.#hint.setAttribute("role", "status");
    this.#element.append(this.#hint);
  }

  onAdd(): HTMLElement {
    return this.#element;
  }

  onRemove(): void {
    this.#element.remove();
  }

  update(kind: ShapeKind | null, hasShapes: boolean): void {
    for (const [own, button] of this.#buttons) button.setAttribute("aria-pressed", String(own === kind));
    this.#clear.hidden = !hasShapes;
    this.#hint.textContent = TOOLS.find((tool) => tool.kind === kind)?.hint ?? "";
    this.#hint.hidden = kind === null;
  }

  #button(label: string, path: string, onClick: () => void): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.title = label;
    button.setAttribute("aria-label", label);
    button.append(icon(path));
    button.addEventListener("click", onClick);
    this.#element.append(button);
    return button;
  }
}

function icon(path: string): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function distance([x1, y1]: [number, number], [x2, y2]: [number, number]): number {
  return Math.hypot(x1 - x2, y1 - y2);
}
