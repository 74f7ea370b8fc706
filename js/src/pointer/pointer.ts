/** Tells what lies under the mouse, a finger or, by the Enter key, at the map's centre: to people, and to Python. */

import { type LngLat, type MapMouseEvent, type Point, Popup } from "maplibre-gl";
import { type LayerSpec, listen, TRAITS } from "../protocol";
import { tell, type View } from "../view/view";
import { popupContent, spokenText, tooltipContent } from "./content";
import { eventOf, type Finding, Inspector, within } from "./inspect";
import pointerCss from "./pointer.css?raw";
import { ValueReader } from "./values";

const REST = 150; // ms that the pointer must stay before a tile's numbers are asked for
const HOVER_INTERVAL = 100; // ms between two messages to Python
const PATIENCE = 10_000; // ms that a click waits for the numbers of rasters
const NOTHING = {};

interface Place {
  point: Point;
  lngLat: LngLat;
}

export function pointer(view: View): void {
  new Pointer(view);
}

class Pointer {
  readonly #inspector: Inspector;
  readonly #tooltip = document.createElement("div");
  readonly #said = document.createElement("div");
  /** Shows the place that Enter asks about, for who has come to the map by keyboard. */
  readonly #crosshair = document.createElement("div");
  #popup: Popup | null = null;
  #hovering: Place | null = null;
  #frame = 0;
  #rest: ReturnType<typeof setTimeout> | null = null;
  #told: ReturnType<typeof setTimeout> | null = null;
  /** What Python shall hear of next, and what it heard of last. */
  #latest: { at: Place; findings: Finding[] } | null = null;
  #heard = "";
  #clicks: Promise<void> = Promise.resolve();

  constructor(private readonly view: View) {
    const { map, host, model, server, status, signal, addStyle } = view;
    addStyle(host, "pointer", pointerCss);
    this.#inspector = new Inspector(view, server && new ValueReader(server, signal));
    this.#build();
    map.on("mousemove", (event: MapMouseEvent) => this.#move(event));
    map.on("mouseout", () => this.#leave());
    map.on("movestart", () => this.#leave());
    map.on("click", (event: MapMouseEvent) => this.#isDrawing || this.#click(event, { byKey: false }));
    host.addEventListener("keydown", (event) => this.#key(event), { signal });
    const showError = () => status.update({ note: String(model.get(TRAITS.callbackError) ?? "") });
    listen(model, `change:${TRAITS.callbackError}`, showError, signal);
    signal.addEventListener("abort", () => this.#end(), { once: true });
  }

  get #isDrawing(): boolean {
    return Boolean(this.view.host.dataset.drawing);
  }

  #build(): void {
    const { host, map } = this.view;
    this.#tooltip.className = "fused-tooltip";
    this.#tooltip.hidden = true;
    // Those who cannot see the tooltip press Enter, and are told by the element below.
    this.#tooltip.setAttribute("aria-hidden", "true");
    this.#said.className = "fused-said";
    this.#said.setAttribute("role", "status");
    this.#crosshair.className = "fused-crosshair";
    host.append(this.#tooltip, this.#said, this.#crosshair);
    map
      .getCanvas()
      .setAttribute("aria-description", "Arrow keys move, + and - zoom, Enter tells what is at the centre");
  }

  #end(): void {
    cancelAnimationFrame(this.#frame);
    for (const timer of [this.#rest, this.#told]) if (timer !== null) clearTimeout(timer);
    this.#popup?.remove();
    for (const element of [this.#tooltip, this.#said, this.#crosshair]) element.remove();
  }

  // -- hover

  #move({ point, lngLat }: MapMouseEvent): void {
    if (this.#isDrawing || this.view.map.isMoving()) {
      this.#leave();
      return;
    }
    this.#hovering = { point, lngLat: lngLat.wrap() };
    this.#restAnew();
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#look());
  }

  #look(): void {
    this.#frame = 0;
    const at = this.#hovering;
    if (at) this.#show(at, this.#inspector.features(at.point));
  }

  #restAnew(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#readPixels(), REST);
  }

  async #readPixels(): Promise<void> {
    const at = this.#hovering;
    if (!at) return;
    const pixels = await this.#inspector.pixels(at.lngLat.lng, at.lngLat.lat, ({ tooltip }) => tooltip !== "none");
    if (this.#hovering !== at || this.view.signal.aborted || pixels.length === 0) return;
    this.#show(at, this.#inspector.sorted([...this.#inspector.features(at.point), ...pixels]));
  }

  #show(at: Place, findings: Finding[]): void {
    const content = tooltipContent(findings);
    this.#tooltip.hidden = content === null;
    if (content) this.#tooltip.replaceChildren(content);
    if (content) this.#put(at.point);
    this.view.map.getCanvas().style.cursor = findings.some(({ properties }) => properties) ? "pointer" : "";
    this.#tellLater(at, findings);
  }

  /** Beside the pointer, on the side where there is room. */
  #put({ x, y }: Point): void {
    const { clientWidth, clientHeight } = this.view.host;
    const { offsetWidth, offsetHeight } = this.#tooltip;
    const left = x + 14 + offsetWidth > clientWidth ? Math.max(0, x - 14 - offsetWidth) : x + 14;
    const top = y + 14 + offsetHeight > clientHeight ? Math.max(0, y - 14 - offsetHeight) : y + 14;
    this.#tooltip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  #leave(): void {
    if (!this.#hovering) return;
    this.#hovering = null;
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#tooltip.hidden = true;
    if (!this.#isDrawing) this.view.map.getCanvas().style.cursor = "";
    this.#latest = null;
    this.#tellLater(null, []);
  }

  #tellLater(at: Place | null, findings: Finding[]): void {
    this.#latest = at && { at, findings };
    this.#told ??= setTimeout(() => {
      this.#told = null;
      this.#tellHovered();
    }, HOVER_INTERVAL);
  }

  /** Python hears of another thing, not of another pixel of the same. */
  #tellHovered(): void {
    const findings = this.#latest?.findings ?? [];
    const key = JSON.stringify(findings.map(({ rows: _, ...finding }) => finding));
    if (key === this.#heard) return;
    this.#heard = key;
    const at = this.#latest?.at.lngLat;
    tell(this.view, TRAITS.hovered, at && findings.length > 0 ? eventOf(at.lng, at.lat, findings) : NOTHING);
  }

  // -- click

  #key(event: KeyboardEvent): void {
    const { map } = this.view;
    if (event.key === "Escape" && this.#popup) {
      this.#popup.remove();
      map.getCanvas().focus();
    } else if (event.key === "Enter" && event.target === map.getCanvas() && !this.#isDrawing) {
      event.preventDefault(); // or the same key presses the popup's button, which has the focus by then
      const lngLat = map.getCenter();
      this.#click({ point: map.project(lngLat), lngLat }, { byKey: true });
    }
  }

  /** One click after the other, so that Python hears of them in their order. */
  #click(place: Place, options: { byKey: boolean }): void {
    const at = { point: place.point, lngLat: place.lngLat.wrap() };
    this.#leave(); // the tooltip would lie over the popup; the next move brings it back
    const features = this.#inspector.features(at.point);
    this.#open(place.lngLat, features, options);
    const everyRaster = (_: LayerSpec) => true;
    const pixels = within(PATIENCE, this.#inspector.pixels(at.lngLat.lng, at.lngLat.lat, everyRaster), []);
    this.#clicks = this.#clicks.then(async () => {
      const findings = this.#inspector.sorted([...features, ...(await pixels)]);
      if (this.view.signal.aborted) return;
      if (findings.length > features.length) this.#open(place.lngLat, findings, options);
      if (options.byKey) this.#said.textContent = spokenText(findings);
      tell(this.view, TRAITS.clicked, eventOf(at.lngLat.lng, at.lngLat.lat, findings));
    });
  }

  #open(lngLat: LngLat, findings: Finding[], { byKey }: { byKey: boolean }): void {
    this.#popup?.remove();
    this.#popup = null;
    const content = popupContent(findings);
    if (!content) return;
    this.#tooltip.hidden = true;
    const options = { closeOnClick: false, focusAfterOpen: byKey, maxWidth: "280px", className: "fused-popup" };
    const popup = new Popup(options).setLngLat(lngLat).setDOMContent(content).addTo(this.view.map);
    popup.once("close", () => {
      if (this.#popup === popup) this.#popup = null;
    });
    this.#popup = popup;
  }
}
