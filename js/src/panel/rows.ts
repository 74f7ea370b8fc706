/** One row of the panel for each kind of control: how it looks, what it reads, what it shows. */

import type { ControlSpec } from "../protocol";

/** Tells a new value; null leaves the parameter out. Typed ones wait until the typing pauses. */
export type Move = (value: unknown, how: "moved" | "typed") => void;

export interface Row {
  readonly element: HTMLElement;
  /** Shows a value; null where the parameter is left out. */
  show(value: unknown): void;
}

type Maker = (spec: ControlSpec, id: string, move: Move) => Row;

/** Makes the row; ids begin with `id`, so that two maps on a page have their own. */
export function rowOf(spec: ControlSpec, id: string, move: Move): Row {
  const row = MAKERS[spec.kind](spec, `${id}-${spec.name}`, move);
  row.element.dataset.kind = spec.kind;
  row.element.dataset.name = spec.name;
  return row;
}

export function optionOf(label: string, value: string): HTMLOptionElement {
  const option = document.createElement("option");
  option.value = value;
  option.textContent = label;
  return option;
}

/** The value as a user reads it. */
export function shownText(spec: ControlSpec, value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (spec.options) return labelOf(spec, value);
  if (Array.isArray(value)) return value.map(String).join(spec.kind === "range" ? " – " : ", ");
  return String(value);
}

export function indexOf(spec: ControlSpec, value: unknown): number {
  const text = JSON.stringify(value);
  return (spec.options ?? []).findIndex(([, option]) => JSON.stringify(option) === text);
}

function labelOf(spec: ControlSpec, value: unknown): string {
  return spec.options?.[indexOf(spec, value)]?.[0] ?? String(value);
}

function slider(spec: ControlSpec, id: string, move: Move): Row {
  const { element, output } = labelled(spec);
  const input = inputOf("range", id, spec);
  nameInput(input, spec);
  input.addEventListener("input", () => move(numberOf(spec, input.value), "moved"));
  element.append(input, output);
  return {
    element,
    show(value) {
      put(input, value ?? spec.min);
      output.textContent = shownText(spec, value);
    },
  };
}

function steps(spec: ControlSpec, id: string, move: Move): Row {
  const { element, output } = labelled(spec);
  const input = inputOf("range", id, { min: 0, max: Math.max(1, (spec.options ?? []).length - 1), step: 1 });
  nameInput(input, spec);
  input.addEventListener("input", () => move(spec.options?.[Number(input.value)]?.[1] ?? null, "moved"));
  element.append(input, output);
  return {
    element,
    show(value) {
      put(input, Math.max(0, indexOf(spec, value)));
      output.textContent = shownText(spec, value);
      input.setAttribute("aria-valuetext", output.textContent);
    },
  };
}

/** Two sliders on one track; the lower end never passes the upper one. */
function range(spec: ControlSpec, id: string, move: Move): Row {
  const { element, output, name } = grouped(spec, id);
  const track = document.createElement("div");
  track.className = "fused-track";
  const ends = ["from", "to"].map((end) => {
    const input = inputOf("range", `${id}-${end}`, spec);
    input.setAttribute("aria-label", `${name} ${end}`);
    return input;
  });
  const read = () => ends.map(({ value }) => numberOf(spec, value) as number);
  for (const [i, input] of ends.entries()) {
    input.addEventListener("input", () => {
      const values = read();
      const other = values[1 - i] as number;
      values[i] = i === 0 ? Math.min(values[i] as number, other) : Math.max(values[i] as number, other);
      put(input, values[i]);
      move(values, "moved");
    });
  }
  track.append(...ends);
  element.append(output, track);
  return {
    element,
    show(value) {
      const shown = Array.isArray(value) ? value : [spec.min, spec.max];
      for (const [i, input] of ends.entries()) put(input, shown[i]);
      output.textContent = shownText(spec, value);
      const share = (end: number) => (100 * (end - (spec.min ?? 0))) / ((spec.max ?? 1) - (spec.min ?? 0));
      track.style.setProperty("--from", `${share(Number(shown[0]))}%`);
      track.style.setProperty("--to", `${share(Number(shown[1]))}%`);
      // Both at the end of the track: the one that can still move lies on top.
      ends[0]?.style.setProperty("z-index", Number(shown[0]) > ((spec.min ?? 0) + (spec.max ?? 1)) / 2 ? "1" : "0");
    },
  };
}

function dropdown(spec: ControlSpec, id: string, move: Move): Row {
  const { element } = labelled(spec);
  const select = document.createElement("select");
  select.id = id;
  select.name = spec.name;
  if (spec.optional || spec.value === null) select.append(optionOf("–", "-1"));
  for (const [i, [label]] of (spec.options ?? []).entries()) select.append(optionOf(label, String(i)));
  select.addEventListener("change", () => move(spec.options?.[Number(select.value)]?.[1] ?? null, "moved"));
  element.append(select);
  return {
    element,
    show(value) {
      select.value = String(indexOf(spec, value));
    },
  };
}

function choices(spec: ControlSpec, id: string, move: Move): Row {
  const { element } = grouped(spec, id);
  const boxes = (spec.options ?? []).map(([label, value], i) => {
    const line = document.createElement("label");
    const box = inputOf("checkbox", `${id}-${i}`, null);
    line.append(box, label);
    element.append(line);
    return { box, value };
  });
  element.addEventListener("change", () => {
    const chosen = boxes.filter(({ box }) => box.checked).map(({ value }) => value);
    move(chosen, "moved");
  });
  return {
    element,
    show(value) {
      const chosen = new Set((Array.isArray(value) ? value : []).map((each) => JSON.stringify(each)));
      for (const each of boxes) each.box.checked = chosen.has(JSON.stringify(each.value));
    },
  };
}

function checkbox(spec: ControlSpec, id: string, move: Move): Row {
  const { element } = labelled(spec);
  const input = inputOf("checkbox", id, null);
  input.name = spec.name;
  input.addEventListener("input", () => move(input.checked, "moved"));
  element.append(input);
  return {
    element,
    show(value) {
      input.checked = value === true;
    },
  };
}

/** Text, numbers and dates: what is typed. */
function typed(type: (spec: ControlSpec) => string, read: (spec: ControlSpec, text: string) => unknown): Maker {
  return (spec, id, move) => {
    const { element } = labelled(spec);
    const input = inputOf(type(spec), id, spec);
    input.name = spec.name;
    const tell = (how: "moved" | "typed") => () => {
      // A half-typed number or date has no value, and one beyond its limits is none to run with.
      if (!input.validity.valid || (input.value === "" && type(spec) !== "text" && !spec.optional)) return;
      move(input.value === "" && spec.optional ? null : read(spec, input.value), how);
    };
    input.addEventListener("input", tell("typed"));
    input.addEventListener("change", tell("moved"));
    element.append(input);
    return {
      element,
      show(value) {
        // Not under the fingers of whoever types, unless it means something else.
        const isSame = input.value !== "" && JSON.stringify(read(spec, input.value)) === JSON.stringify(value);
        if (!isSame) put(input, value === null || value === undefined ? "" : shownText(spec, value));
      },
    };
  };
}

function readText(spec: ControlSpec, text: string): unknown {
  if (spec.type !== "list") return text;
  const parts = text.split(",").map((part) => part.trim());
  const areNumbers = Array.isArray(spec.value) && spec.value.every((each) => typeof each === "number");
  if (text.trim() === "") return [];
  return areNumbers && parts.every((part) => Number.isFinite(Number(part))) ? parts.map(Number) : parts;
}

/** A date with a time zone is beyond what a browser's own input can hold. */
function dateType(spec: ControlSpec): string {
  if (spec.type === "date") return "date";
  return /(Z|[+-]\d\d:?\d\d)$/.test(String(spec.value ?? "")) ? "text" : "datetime-local";
}

const MAKERS: Record<ControlSpec["kind"], Maker> = {
  slider,
  range,
  steps,
  dropdown,
  choices,
  checkbox,
  text: typed(() => "text", readText),
  number: typed(
    () => "number",
    (spec, text) => numberOf(spec, text),
  ),
  date: typed(dateType, (_, text) => text),
};

function numberOf(spec: ControlSpec, text: string): number {
  const value = Number(text);
  return spec.type === "int" ? Math.round(value) : Number(value.toPrecision(12));
}

/** A label around its only input. */
function labelled(spec: ControlSpec): { element: HTMLElement; output: HTMLOutputElement } {
  const element = document.createElement("label");
  element.append(nameOf(spec, "span"));
  return { element, output: document.createElement("output") };
}

/** Several inputs under one name. */
function grouped(spec: ControlSpec, id: string): { element: HTMLElement; output: HTMLOutputElement; name: string } {
  const element = document.createElement("div");
  const name = nameOf(spec, "span");
  name.id = `${id}-name`;
  element.setAttribute("role", "group");
  element.setAttribute("aria-labelledby", name.id);
  element.append(name);
  return { element, output: document.createElement("output"), name: spec.label || spec.name };
}

function nameOf(spec: ControlSpec, tag: string): HTMLElement {
  const name = document.createElement(tag);
  name.className = "fused-name";
  name.textContent = name.title = spec.label || spec.name;
  return name;
}

/** The label around it has the value in it too, which a screen reader would say twice. */
function nameInput(input: HTMLInputElement, spec: ControlSpec): void {
  input.setAttribute("aria-label", spec.label || spec.name);
}

type Limits = Pick<ControlSpec, "min" | "max" | "step">;

function inputOf(type: string, id: string, limits: Limits | ControlSpec | null): HTMLInputElement {
  const input = document.createElement("input");
  input.type = type;
  input.id = id;
  if (limits && "name" in limits) input.name = limits.name;
  if (type === "number") input.step = "any";
  for (const limit of ["min", "max", "step"] as const) {
    const value = limits?.[limit];
    if (value !== null && value !== undefined) input[limit] = String(value);
  }
  return input;
}

function put(input: HTMLInputElement, value: unknown): void {
  const text = String(value ?? "");
  if (input.value !== text) input.value = text;
}
