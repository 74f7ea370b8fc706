/** The panel in which a user moves a UDF's parameters. */

import { type ControlSpec, listen, type Model, type Params, TRAITS } from "../protocol";

const DEBOUNCE = 80; // ms; a slider reports every pixel

type Reader = (input: HTMLInputElement) => unknown;

const READERS: Record<ControlSpec["type"], Reader> = {
  int: (input) => Math.round(Number(input.value)),
  float: (input) => Number(input.value),
  bool: (input) => input.checked,
  str: (input) => input.value,
};

const INPUT_TYPES: Record<ControlSpec["kind"], string> = { slider: "range", checkbox: "checkbox", text: "text" };

/** What a control shows: the map's value, or the UDF's default. */
export function shownValue(control: ControlSpec, params: Params): unknown {
  return params[control.name] ?? control.value;
}

/** Follows the traits `controls` and `params`; calls back with the new params as soon as a control moved. */
export class ControlPanel {
  readonly #panel = document.createElement("form");
  readonly #rows = new Map<string, { control: ControlSpec; input: HTMLInputElement; output: HTMLOutputElement }>();
  #moved: Params = {};
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly model: Model,
    host: HTMLElement,
    private readonly onParams: (params: Params) => void,
    signal: AbortSignal,
  ) {
    this.#panel.className = "fused-controls";
    this.#panel.setAttribute("aria-label", "Parameters");
    this.#panel.addEventListener("submit", (event) => event.preventDefault());
    host.append(this.#panel);
    listen(model, `change:${TRAITS.controls}`, () => this.#build(), signal);
    listen(model, `change:${TRAITS.params}`, () => this.#show(), signal);
    signal.addEventListener("abort", () => this.#remove(), { once: true });
    this.#build();
  }

  get #params(): Params {
    return { ...(this.model.get(TRAITS.params) as Params), ...this.#moved };
  }

  #build(): void {
    const focused = this.#panel.contains(document.activeElement) ? (document.activeElement as HTMLElement).id : "";
    this.#rows.clear();
    this.#panel.replaceChildren(...(this.model.get(TRAITS.controls) as ControlSpec[]).map((spec) => this.#row(spec)));
    this.#panel.hidden = this.#rows.size === 0;
    this.#show();
    // A new version of the UDF rebuilds the panel under the fingers of whoever moves it.
    if (focused) this.#panel.querySelector<HTMLElement>(`[id="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(control: ControlSpec): HTMLElement {
    const row = document.createElement("label");
    const name = document.createElement("span");
    const input = document.createElement("input");
    const output = document.createElement("output");
    name.textContent = name.title = control.name;
    row.dataset.kind = control.kind;
    input.type = INPUT_TYPES[control.kind];
    input.name = control.name;
    input.id = `fused-${control.name}`;
    for (const limit of ["min", "max", "step"] as const) {
      if (control[limit] !== null) input[limit] = String(control[limit]);
    }
    input.addEventListener("input", () => this.#move(control, input));
    row.append(name, input, output);
    this.#rows.set(control.name, { control, input, output });
    return row;
  }

  #move(control: ControlSpec, input: HTMLInputElement): void {
    this.#moved[control.name] = READERS[control.type](input);
    this.#show();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), DEBOUNCE);
  }

  #flush(): void {
    const params = this.#params;
    this.#timer = null;
    this.#moved = {};
    this.onParams(params);
    this.model.set(TRAITS.params, params);
    this.model.save_changes();
  }

  #show(): void {
    const params = this.#params;
    for (const { control, input, output } of this.#rows.values()) {
      const value = shownValue(control, params);
      if (control.kind === "checkbox") input.checked = value === true;
      else if (input.value !== String(value ?? "")) input.value = String(value ?? "");
      output.textContent = control.kind === "slider" ? String(value) : "";
    }
  }

  #remove(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#panel.remove();
  }
}
