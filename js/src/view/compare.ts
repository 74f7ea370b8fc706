/** Two maps of the same place: one over the other with a divider between them, or side by side. */

import { listen, type Model } from "../protocol";
import compareCss from "./compare.css?raw";

/** What we use of the front end's widget manager. */
interface WidgetManager {
  get_model(id: string): Promise<unknown>;
  create_view(model: unknown): Promise<{ el: HTMLElement; remove(): void }>;
}

interface Comparison {
  model: Model & { widget_manager: WidgetManager };
  el: HTMLElement;
}

/** The twin is fused_jupyter/widgets/_compare.py. */
export const COMPARE_TRAITS = { maps: "maps", mode: "mode", position: "position", height: "height" } as const;

const STEP = 0.02; // of the width, for an arrow key
const LEAP = 0.1; // for a page key
const REFERENCE = "IPY_MODEL_";

const KEYS: Record<string, (position: number) => number> = {
  ArrowLeft: (position) => position - STEP,
  ArrowDown: (position) => position - STEP,
  ArrowRight: (position) => position + STEP,
  ArrowUp: (position) => position + STEP,
  PageDown: (position) => position - LEAP,
  PageUp: (position) => position + LEAP,
  Home: () => 0,
  End: () => 1,
};

function render({ model, el }: Comparison): () => void {
  const end = new AbortController();
  const host = document.createElement("div");
  host.className = "fused-compare";
  const style = document.createElement("style");
  style.textContent = compareCss;
  const panes = ["first", "second"].map((name) => {
    const pane = document.createElement("div");
    pane.className = `fused-pane fused-pane-${name}`;
    return pane;
  });
  host.append(style, ...panes, divider(model, host, end.signal));
  el.append(host);
  const show = () => {
    host.dataset.mode = String(model.get(COMPARE_TRAITS.mode));
    host.style.setProperty("--fused-height", String(model.get(COMPARE_TRAITS.height)));
    host.style.setProperty("--fused-split", `${Number(model.get(COMPARE_TRAITS.position)) * 100}%`);
  };
  for (const trait of [COMPARE_TRAITS.mode, COMPARE_TRAITS.height, COMPARE_TRAITS.position]) {
    listen(model, `change:${trait}`, show, end.signal);
  }
  show();
  void fill(model, panes, end.signal);
  return () => {
    end.abort();
    host.remove();
  };
}

/** Puts a view of each map into its pane; the front end's own manager makes them, so they are maps as any other. */
async function fill(model: Comparison["model"], panes: HTMLElement[], signal: AbortSignal): Promise<void> {
  const references = model.get(COMPARE_TRAITS.maps) as string[];
  const views = references.map(async (reference, i) => {
    const map = await model.widget_manager.get_model(reference.slice(REFERENCE.length));
    const view = await model.widget_manager.create_view(map);
    if (signal.aborted) return view.remove();
    signal.addEventListener("abort", () => view.remove(), { once: true });
    panes[i]?.append(view.el);
  });
  for (const [i, result] of (await Promise.allSettled(views)).entries()) {
    const pane = panes[i];
    if (result.status === "rejected" && pane) pane.textContent = `This map cannot be shown: ${String(result.reason)}`;
  }
}

/** The line between the two: dragged, or moved by keys as a slider is. */
function divider(model: Model, host: HTMLElement, signal: AbortSignal): HTMLElement {
  const handle = document.createElement("div");
  handle.className = "fused-divider";
  handle.tabIndex = 0;
  for (const [name, value] of Object.entries(SLIDER)) handle.setAttribute(name, value);
  const put = (position: number) => {
    model.set(COMPARE_TRAITS.position, Math.min(Math.max(position, 0), 1));
    model.save_changes();
  };
  const tell = () => {
    const percent = Math.round(Number(model.get(COMPARE_TRAITS.position)) * 100);
    handle.setAttribute("aria-valuenow", String(percent));
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault(); // of text beside it being marked
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const { left, width } = host.getBoundingClientRect();
    put((event.clientX - left) / width);
  });
  handle.addEventListener("keydown", (event) => {
    const move = KEYS[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    put(Number(move(Number(model.get(COMPARE_TRAITS.position))).toFixed(4)));
  });
  listen(model, `change:${COMPARE_TRAITS.position}`, tell, signal);
  tell();
  return handle;
}

const SLIDER = {
  role: "slider",
  "aria-label": "Divider between the two maps",
  "aria-valuemin": "0",
  "aria-valuemax": "100",
  "data-lm-suppress-shortcuts": "true", // JupyterLab would take the keys
};

export default { render };
