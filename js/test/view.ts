/** A view for parts of a map that need no WebGL: MapLibre's corners, events and nothing else. */

import type { ControlPosition, IControl, Map as MapLibreMap } from "maplibre-gl";
import type { View } from "../src/view/view";
import type { StubModel } from "./stub";

export class StubMap {
  readonly corners = new Map<string, HTMLElement>();
  readonly #once = new Map<string, (() => void)[]>();
  repaints = 0;

  constructor(private readonly host: HTMLElement) {}

  addControl(control: IControl, corner: ControlPosition = "top-right"): this {
    const home = this.corners.get(corner) ?? this.host.appendChild(document.createElement("div"));
    this.corners.set(corner, home);
    home.append(control.onAdd(this as unknown as MapLibreMap));
    return this;
  }

  removeControl(control: IControl): this {
    control.onRemove(this as unknown as MapLibreMap);
    return this;
  }

  once(event: string, callback?: () => void): Promise<unknown> | this {
    if (!callback) return new Promise((resolve) => this.once(event, () => resolve(undefined)));
    this.#once.set(event, [...(this.#once.get(event) ?? []), callback]);
    return this;
  }

  emit(event: string): void {
    const callbacks = this.#once.get(event) ?? [];
    this.#once.delete(event);
    for (const callback of callbacks) callback();
  }

  triggerRepaint(): void {
    this.repaints += 1;
  }
}

/** A host of this size, on the page. */
export function hostOf(width: number, height: number): HTMLElement {
  document.body.innerHTML = '<div class="fused-map"></div>';
  const host = document.body.firstElementChild as HTMLElement;
  Object.defineProperty(host, "clientWidth", { value: width, configurable: true });
  Object.defineProperty(host, "clientHeight", { value: height, configurable: true });
  return host;
}

export function viewOf(model: StubModel, host: HTMLElement, signal: AbortSignal, more: Partial<View> = {}): View {
  const map = new StubMap(host) as unknown as MapLibreMap;
  return { model, host, map, signal, feed: null, layers: null, server: null, addStyle: () => {}, ...more } as View;
}
