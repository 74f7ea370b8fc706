/** The legend: for each visible layer its title and what its colours mean, in words as well as in colours. */

import { addPanel } from "../panel/panel";
import { type LayerSpec, listen, type Params, TRAITS } from "../protocol";
import { tileTemplate } from "../tiles/address";
import type { View } from "../view/view";
import legendCss from "./legend.css?raw";
import { readKey } from "./looks";
import type { Entry, Look } from "./resolve";

/** What the legend says of one layer. */
export interface Chapter {
  name: string;
  title: string;
  shape: string;
  entries: Entry[];
}

export function legend(view: View): void {
  const { map, model, looks, signal, addStyle, host } = view;
  addStyle(host, "legend", legendCss);
  const panel = addPanel(view, { title: "Legend", corner: "bottom-left", order: 50 });
  const list = document.createElement("div");
  list.className = "fused-legend";
  panel.body.append(list);
  let shown = "";
  const update = () => {
    const chapters = model.get(TRAITS.showLegend) === false ? [] : chaptersOf(view);
    const next = JSON.stringify(chapters);
    if (next === shown) return;
    shown = next;
    list.replaceChildren(...chapters.map(chapterElement));
    panel.root.hidden = chapters.length === 0;
  };
  panel.root.hidden = true;
  for (const trait of [TRAITS.layers, TRAITS.layerStates, TRAITS.params, TRAITS.showLegend])
    listen(model, `change:${trait}`, update, signal);
  looks.follow(update, signal);
  map.on("zoomend", update);
  update();
}

/** The uppermost layer first, as it lies on the map. */
function chaptersOf(view: View): Chapter[] {
  const zoom = view.map.getZoom();
  return [...view.layers.shown].reverse().flatMap((spec) => {
    if (!spec.visible || spec.legend === false || zoom < spec.min_zoom) return [];
    const key = pictureKey(view, spec);
    const entries = key ? [key] : view.looks.isKnown(spec.name) ? entriesOf(view.looks.look(spec)) : [];
    if (entries.length === 0) return [];
    const title = typeof spec.legend === "string" ? spec.legend : spec.name;
    return [{ name: spec.name, title, shape: shapeOf(view.looks.look(spec)), entries }];
  });
}

/** What the colours of pictures mean: the server says it of tiles, and Python of its own. */
function pictureKey({ looks, model, server }: View, spec: LayerSpec): Entry | null {
  if (spec.type === "image") {
    const headers = new Headers(spec.headers);
    const colors = headers.get("x-fused-colors");
    return colors ? readKey(colors, headers.get("x-fused-rescale")) : null;
  }
  if (spec.type !== "tiles" || !server) return null;
  const shared = (model.get(TRAITS.params) ?? {}) as Params;
  const kernelId = String(model.get(TRAITS.kernelId));
  return looks.keyOf(tileTemplate(server.root, spec, { shared, kernelId, kind: null }));
}

/** What a look has to explain, each thing once. */
export function entriesOf({ fill, line, notes, spec, geometries }: Look): Entry[] {
  const hasAreas = geometries.has("polygon") || geometries.has("point");
  const main = hasAreas && spec.filled ? fill : line;
  const isOutlined = hasAreas && spec.filled && spec.stroked && line.isByData && spec.line !== null;
  const entries = isOutlined ? [main.entry, line.entry] : [main.entry];
  const distinct = new Map([...entries, ...notes].map((entry) => [JSON.stringify(entry), entry]));
  return [...distinct.values()];
}

function shapeOf({ geometries }: Look): string {
  return geometries.size === 1 ? ([...geometries][0] ?? "") : "";
}

function chapterElement({ title, shape, entries }: Chapter): HTMLElement {
  const section = element("section");
  section.setAttribute("aria-label", title);
  const [first] = entries;
  if (first?.type === "swatch") {
    const row = element("li");
    row.append(swatch(first.color, shape), element("span", title));
    const list = element("ul");
    list.append(row);
    section.append(list, ...entries.slice(1).map((entry) => entryElement(entry, shape)));
    return section;
  }
  const heading = element("h4", title);
  heading.title = title;
  section.append(heading, ...entries.map((entry) => entryElement(entry, shape)));
  return section;
}

function entryElement(entry: Entry, shape: string): HTMLElement {
  switch (entry.type) {
    case "swatch":
      return items("", [{ color: entry.color, label: "outline" }], shape);
    case "ramp":
      return rampElement(entry);
    case "categories":
      return items(entry.label, entry.items, shape);
    case "note":
      return element("p", entry.text);
  }
}

function items(label: string, list: { color: string; label: string }[], shape: string): HTMLElement {
  const box = element("div");
  if (label) box.append(element("p", label));
  const ul = element("ul");
  if (label) ul.setAttribute("aria-label", label);
  for (const { color, label: words } of list) {
    const li = element("li");
    li.append(swatch(color, shape), element("span", words));
    li.title = words;
    ul.append(li);
  }
  box.append(ul);
  return box;
}

function rampElement({ label, stops, ticks, missing }: Extract<Entry, { type: "ramp" }>): HTMLElement {
  const box = element("div");
  if (label) box.append(element("p", label));
  const bar = element("div");
  bar.className = "fused-ramp";
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", rampText({ label, ticks }));
  bar.style.background = `linear-gradient(to right, ${stops.map(({ color, at }) => `${color} ${percent(at)}`).join(", ")})`;
  const row = element("div");
  row.className = "fused-ticks";
  row.setAttribute("aria-hidden", "true"); // the bar's own words say it
  for (const { at, text } of ticks) {
    const tick = element("span", text);
    tick.style.left = percent(at);
    if (at < 0.08) tick.dataset.end = "left";
    if (at > 0.92) tick.dataset.end = "right";
    row.append(tick);
  }
  box.append(bar, row);
  if (missing) box.append(items("", [{ color: missing, label: "no value" }], ""));
  return box;
}

/** The ramp for those who hear it. */
export function rampText({ label, ticks }: { label: string; ticks: { text: string }[] }): string {
  const [first, last] = [ticks[0]?.text ?? "", ticks[ticks.length - 1]?.text ?? ""];
  return `${label || "Colours"} from ${first} to ${last}`;
}

function swatch(color: string, shape: string): HTMLElement {
  const box = element("span");
  box.className = "fused-swatch";
  box.style.background = color;
  box.dataset.shape = shape;
  box.setAttribute("aria-hidden", "true");
  return box;
}

function element(name: string, text = ""): HTMLElement {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  return made;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}
