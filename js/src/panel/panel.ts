/**
 * Panels: what lies on the map besides its tiles. Legend, layers, parameters and tools all come through here.
 *
 *     const { body } = addPanel(view, { title: "Legend", corner: "bottom-left", order: 10 });
 *     body.append(…);
 *
 * A panel is a `<details>` in one of MapLibre's corners. panel.css makes a grid of the corners, so that no two panels
 * overlap at any size, and those in one corner share its height: each scrolls when it gets less than it wants. On a
 * small map all start closed and one is open at a time. Escape closes the panel that has the focus.
 *
 * What needs no title and no room, such as a row of buttons, is a plain MapLibre control: `maplibregl-ctrl-group`.
 */

import type { ControlPosition, Map as MapLibreMap } from "maplibre-gl";

const SMALL = { width: 480, height: 260 }; // px; below either, open panels would hide the map

export interface PanelOptions {
  title: string;
  /** "top-right" unless another is said. */
  corner?: ControlPosition;
  /** Place in its corner, from the top; equal ones as they come. */
  order?: number;
  /** Whether it starts open where there is room; it does unless this says no. */
  open?: boolean;
}

export interface Panel {
  /** The `<details>`; set `hidden` while there is nothing to show. */
  readonly root: HTMLDetailsElement;
  /** Where the content goes. */
  readonly body: HTMLDivElement;
  /** The words on the handle. */
  title: string;
  remove(): void;
}

/** What a panel needs of a `View`. */
export interface PanelHome {
  readonly map: Pick<MapLibreMap, "addControl" | "removeControl" | "once">;
  readonly host: HTMLElement;
  readonly signal: AbortSignal;
}

/** A new panel, which goes with the view or when it is told to. */
export function addPanel(home: PanelHome, options: PanelOptions): Panel {
  const { map, host, signal } = home;
  const { title, corner = "top-right", order = 50, open = true } = options;
  const root = document.createElement("details");
  const summary = document.createElement("summary");
  const body = document.createElement("div");
  root.className = "fused-panel maplibregl-ctrl";
  root.dataset.order = String(order);
  body.className = "fused-panel-body";
  summary.textContent = title;
  root.setAttribute("aria-label", title);
  root.append(summary, body);
  root.addEventListener("keydown", (event) => closeOnEscape(event, root, summary));
  root.addEventListener("toggle", () => root.open && isSmall(host) && closeOthers(host, root));
  const control = { onAdd: () => root, onRemove: () => root.remove() };
  map.addControl(control, corner);
  putInOrder(root);
  openWhereRoomIs(home, root, open);
  return {
    root,
    body,
    get title() {
      return summary.textContent;
    },
    set title(text) {
      summary.textContent = text;
      root.setAttribute("aria-label", text);
    },
    // A view that ended has taken its map, and with it all controls.
    remove: () => signal.aborted || map.removeControl(control),
  };
}

/** Whether open panels would hide most of this map. */
export function isSmall({ clientWidth, clientHeight }: Pick<HTMLElement, "clientWidth" | "clientHeight">): boolean {
  return clientWidth < SMALL.width || clientHeight < SMALL.height;
}

function openWhereRoomIs({ map, host }: PanelHome, root: HTMLDetailsElement, open: boolean): void {
  // A notebook may draw a widget in a hidden tab first; then nobody knows yet how large it is.
  if (host.clientWidth === 0) map.once("resize", () => openWhereRoomIs({ map, host } as PanelHome, root, open));
  else root.open = open && !isSmall(host);
}

/** In the document too, not by CSS alone: the tab key follows the document. */
function putInOrder(root: HTMLElement): void {
  const corner = root.parentElement;
  const others = [...(corner?.children ?? [])].filter((other) => other !== root);
  corner?.insertBefore(root, others.find((other) => orderOf(other) > orderOf(root)) ?? null);
}

/** Controls of MapLibre itself come first: in a corner at the top they are what a finger looks for. */
function orderOf(element: Element): number {
  return Number((element as HTMLElement).dataset.order ?? 0);
}

function closeOthers(host: HTMLElement, root: HTMLDetailsElement): void {
  for (const other of host.querySelectorAll<HTMLDetailsElement>("details.fused-panel[open]")) {
    if (other !== root) other.open = false;
  }
}

function closeOnEscape(event: KeyboardEvent, root: HTMLDetailsElement, summary: HTMLElement): void {
  if (event.key !== "Escape" || event.defaultPrevented || !root.open) return;
  event.preventDefault();
  root.open = false;
  summary.focus();
}
