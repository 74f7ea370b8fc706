/**
 * The layer panel: which layers are seen, what lies over what, how faint, and in which colour.
 *
 * Every change goes into the trait `layer_states`, from which the map draws at once; Python takes it over into `layers`.
 */

import { statesOf } from "../layers/states";
import { type LayerSpec, type LayerState, listen, TRAITS } from "../protocol";
import type { View } from "../view/view";
import layersCss from "./layers.css?raw";
import { addPanel, type Panel } from "./panel";

const PAUSE = 150; // ms; a slider moves dozens of times a second, and Python needs to know the last place
const GRIP = "⠿";

export function layerPanel(view: View): void {
  const { model, looks, host, signal, addStyle } = view;
  addStyle(host, "layers", layersCss);
  const panel = new LayerPanel(view);
  for (const trait of [TRAITS.layers, TRAITS.layerStates, TRAITS.layerPanel])
    listen(model, `change:${trait}`, () => panel.update(), signal);
  looks.follow(() => panel.update(), signal);
  panel.update();
}

interface Row {
  element: HTMLLIElement;
  grip: HTMLButtonElement;
  visible: HTMLInputElement;
  color: HTMLInputElement;
  opacity: HTMLInputElement;
}

class LayerPanel {
  readonly #panel: Panel;
  readonly #list = document.createElement("ul");
  readonly #rows = new Map<string, Row>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** While a row is dragged, its place on the screen is what counts. */
  #isDragging = false;

  constructor(private readonly view: View) {
    this.#panel = addPanel(view, { title: "Layers", order: 60 });
    this.#list.className = "fused-layers";
    this.#panel.body.append(this.#list);
    view.signal.addEventListener("abort", () => this.#save(), { once: true });
  }

  /** Shows the layers as they are, the uppermost first. */
  update(): void {
    const wanted = this.view.model.get(TRAITS.layerPanel);
    const specs = [...this.view.layers.shown].reverse();
    this.#panel.root.hidden = wanted === "auto" ? specs.length < 2 : wanted !== true || specs.length === 0;
    for (const [name, { element }] of this.#rows) {
      if (specs.some((spec) => spec.name === name)) continue;
      element.remove();
      this.#rows.delete(name);
    }
    for (const [i, spec] of specs.entries()) this.#show(spec, i, specs.length);
    if (!this.#isDragging) this.#order(specs.map(({ name }) => name));
  }

  #show(spec: LayerSpec, place: number, count: number): void {
    const { name, visible, opacity } = spec;
    const row = this.#rows.get(name) ?? this.#add(name);
    row.visible.checked = visible;
    row.element.toggleAttribute("data-seen", visible);
    row.grip.setAttribute("aria-label", `Move ${name}, ${place + 1} of ${count} from the top, with the arrow keys`);
    put(row.opacity, String(Math.round(opacity * 100)));
    row.opacity.setAttribute("aria-valuetext", `${Math.round(opacity * 100)} %`);
    const color = this.#colorOf(spec);
    row.color.hidden = color === null;
    if (color !== null) put(row.color, color);
  }

  /** The one colour that a layer of features has; null of others. */
  #colorOf(spec: LayerSpec): string | null {
    const { looks } = this.view;
    if (!looks.isKnown(spec.name)) return null;
    const { fill, line, geometries } = looks.look(spec);
    const main = geometries.has("polygon") || geometries.has("point") ? fill : line;
    const isPlain = !fill.isByData && !line.isByData && typeof main.value === "string";
    return isPlain ? hexOf(main.value as string) : null;
  }

  #add(name: string): Row {
    const element = document.createElement("li");
    const grip = document.createElement("button");
    grip.type = "button";
    grip.className = "fused-grip";
    grip.textContent = GRIP;
    grip.title = "Drag, or press the arrow keys";
    const visible = inputOf("checkbox", "");
    const words = document.createElement("span");
    words.className = "fused-name";
    words.textContent = words.title = name;
    const label = document.createElement("label");
    label.append(visible, words);
    const color = inputOf("color", `Colour of ${name}`);
    const opacity = inputOf("range", `Opacity of ${name}`);
    element.dataset.name = name;
    element.append(grip, label, color, opacity);
    visible.addEventListener("change", () => this.#write(name, { visible: visible.checked }));
    opacity.addEventListener("input", () => this.#write(name, { opacity: Number(opacity.value) / 100 }));
    color.addEventListener("input", () => this.#write(name, { color: color.value }));
    grip.addEventListener("keydown", (event) => this.#moveByKey(event, name));
    grip.addEventListener("pointerdown", (event) => this.#drag(event, element));
    const row = { element, grip, visible, color, opacity };
    this.#rows.set(name, row);
    return row;
  }

  #order(names: string[]): void {
    const elements = names.flatMap((name) => this.#rows.get(name)?.element ?? []);
    if (elements.every((element, i) => this.#list.children[i] === element)) return;
    const focused = document.activeElement;
    this.#list.append(...elements);
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }

  #moveByKey(event: KeyboardEvent, name: string): void {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the map would pan
    const names = this.#names();
    const place = names.indexOf(name);
    const target = place + step;
    if (target < 0 || target >= names.length) return;
    names.splice(place, 1);
    names.splice(target, 0, name);
    this.#arrange(names);
    this.#rows.get(name)?.grip.focus({ preventScroll: true });
  }

  #drag(event: PointerEvent, element: HTMLLIElement): void {
    if (event.button !== 0) return;
    const end = new AbortController();
    const { signal } = end;
    this.#list.setPointerCapture(event.pointerId); // not the grip: an element that is moved loses the pointer
    this.#isDragging = true;
    element.dataset.moving = "";
    const move = ({ clientY }: PointerEvent) => {
      const others = [...this.#list.children].filter((other) => other !== element);
      const next = others.find((other) => clientY < middleOf(other)) ?? null;
      if (element.nextElementSibling !== next) this.#list.insertBefore(element, next);
    };
    const drop = () => {
      end.abort();
      this.#isDragging = false;
      delete element.dataset.moving;
      this.#arrange(this.#names());
    };
    this.#list.addEventListener("pointermove", move, { signal });
    for (const name of ["pointerup", "pointercancel"] as const) this.#list.addEventListener(name, drop, { signal });
  }

  /** From the top, as the panel shows them. */
  #names(): string[] {
    return [...this.#list.children].map((element) => (element as HTMLElement).dataset.name ?? "");
  }

  #arrange(fromTop: string[]): void {
    const place = ({ name }: LayerState) => fromTop.indexOf(name);
    this.#tell(this.#states().sort((a, b) => place(b) - place(a)));
  }

  #write(layer: string, change: Partial<LayerState>): void {
    this.#tell(this.#states().map((state) => (state.name === layer ? { ...state, ...change } : state)));
  }

  /** Of all layers, the lowest first. */
  #states(): LayerState[] {
    const { model } = this.view;
    return statesOf(model.get(TRAITS.layers) as LayerSpec[], (model.get(TRAITS.layerStates) ?? []) as LayerState[]);
  }

  /** Drawn at once; Python hears of it when it has settled. */
  #tell(states: LayerState[]): void {
    const { model, signal } = this.view;
    if (signal.aborted || JSON.stringify(states) === JSON.stringify(model.get(TRAITS.layerStates))) {
      this.update();
      return;
    }
    model.set(TRAITS.layerStates, states);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), PAUSE);
  }

  #save(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.view.model.save_changes();
  }
}

function inputOf(type: string, label: string): HTMLInputElement {
  const input = document.createElement("input");
  input.type = type;
  if (type === "range") Object.assign(input, { min: "0", max: "100", step: "1" });
  if (label) input.setAttribute("aria-label", label);
  if (label) input.title = label;
  return input;
}

/** Not while it says so already: a write ends the drag of a slider. */
function put(input: HTMLInputElement, value: string): void {
  if (input.value !== value) input.value = value;
}

function middleOf(element: Element): number {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}

/** The colour as the browser's own control takes it; null where it is none. */
export function hexOf(color: string): string | null {
  if (/^#[0-9a-f]{6}$/i.test(color)) return color.toLowerCase();
  const brush = document.createElement("canvas").getContext("2d");
  if (!brush) return null;
  brush.fillStyle = color;
  return /^#[0-9a-f]{6}$/.test(brush.fillStyle) ? brush.fillStyle : null;
}
