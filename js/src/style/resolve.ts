/** From what Python says and what the data have: the expression that draws a colour or a size, and what it means. */

import type { LayerData } from "./data";
import { isLogarithmic } from "./data";
import { type Domain, linearPlace, logPlace, logTicks, readable, type Tick, ticksOf, withRoom } from "./numbers";
import type { Geometry } from "./samples";
import type { AutoColor, CategoryColors, ColorSpec, RampColor, ScaledSize, SizeSpec, StyleSpec } from "./spec";
import { automatic as automaticStyle } from "./spec";

/** One thing that a legend explains. */
export type Entry =
  | { type: "swatch"; color: string }
  | { type: "ramp"; label: string; stops: Stop[]; ticks: Tick[]; missing: string | null }
  | { type: "categories"; label: string; items: { color: string; label: string }[] }
  | { type: "note"; text: string };

export interface Stop {
  /** 0 to 1. */
  at: number;
  color: string;
}

/** A colour as MapLibre draws it. */
export interface Drawable {
  value: unknown;
  entry: Entry;
  isByData: boolean;
}

/** How a layer looks, now that its data are known. */
export interface Look {
  spec: StyleSpec;
  fill: Drawable;
  line: Drawable;
  lineWidth: unknown;
  radius: unknown;
  /** What sizes mean. */
  notes: Entry[];
  geometries: Set<Geometry>;
}

/** From viridis, without its ends: those vanish on a dark page and on a light one. */
export const AUTO_RAMP = ["#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26"];
/** CARTO's Vivid; the last one is for all others. */
export const AUTO_CLASSES = [
  "#e58606",
  "#5d69b1",
  "#52bca3",
  "#99c945",
  "#cc61b0",
  "#24796c",
  "#daa51b",
  "#2f8ac4",
  "#764e9f",
  "#ed645a",
  "#cc3a8e",
  "#a5aa99",
];
const MISSING = "#96969680";
const LEAST = 1e-12; // what a logarithm takes for numbers that have none

export function resolve(spec: StyleSpec, data: LayerData): Look {
  const { hexagons } = spec;
  if (hexagons && data.has(hexagons.column)) return resolve(hexagons.style, data);
  if (isForOthers(spec, data)) return resolve(plain(spec), data);
  const main = spec.color ?? (spec.fill || spec.line ? null : AUTO);
  const base = constant(spec.base);
  const color = main && drawable(main, spec, data);
  const fill = (spec.fill && drawable(spec.fill, spec, data)) ?? color ?? base;
  const line = (spec.line && drawable(spec.line, spec, data)) ?? color ?? fill;
  const [lineWidth, radius] = [sized(spec.line_width, data), sized(spec.radius, data)];
  const notes = [...noteOf("width", spec.line_width, data), ...noteOf("size", spec.radius, data)];
  const filled = spec.fill || spec.color || !spec.line || spec.filled ? fill : line;
  return { spec, fill: filled, line, lineWidth, radius, notes, geometries: data.geometries };
}

const AUTO: AutoColor = { kind: "auto", column: null, colors: null, classes: null, missing: null, label: "" };

/** Whether the style is the default of a map that was made for other data. */
function isForOthers({ color, fill, line }: StyleSpec, data: LayerData): boolean {
  const optional = [color, fill, line].filter((each) => each && "is_optional" in each && each.is_optional);
  return data.isKnown && optional.some((each) => each && "column" in each && !data.has(each.column ?? ""));
}

function plain(spec: StyleSpec): StyleSpec {
  return { ...automaticStyle(spec.base), paint: spec.paint, opacity: spec.opacity };
}

function constant(color: string): Drawable {
  return { value: color, entry: { type: "swatch", color }, isByData: false };
}

function drawable(color: ColorSpec, spec: StyleSpec, data: LayerData): Drawable {
  switch (color.kind) {
    case "constant":
      return constant(color.color);
    case "expression":
      return { value: color.value, entry: { type: "note", text: "colours as the data say" }, isByData: true };
    case "ramp":
      return ramp(color, spec, data);
    case "categories":
      return categories(color, data);
    case "auto":
      return automatic(color, spec, data);
  }
}

function automatic(auto: AutoColor, spec: StyleSpec, data: LayerData): Drawable {
  const kind = auto.column === null ? null : data.kindOf(auto.column);
  const choice = auto.column === null ? data.choice() : kind && { column: auto.column, kind };
  if (!choice) return constant(spec.base);
  const { column } = choice;
  const { missing, label } = auto;
  if (choice.kind === "colors") {
    const value = ["to-color", ["get", column], spec.base];
    return { value, entry: { type: "note", text: `colours from ${column}` }, isByData: true };
  }
  const common = { column, missing, label, is_optional: false };
  if (choice.kind === "texts") {
    const colors = auto.classes ?? AUTO_CLASSES;
    return categories({ ...common, kind: "categories", values: null, colors, other: null }, data);
  }
  const range = data.range(column, "linear");
  const scale = range && isLogarithmic(smallest(column, data)) ? "log" : "linear";
  const colors = auto.colors ?? AUTO_RAMP;
  return ramp({ ...common, kind: "ramp", colors, domain: null, scale, steps: null, breaks: null }, spec, data);
}

/** The range of what is above 0: widened to round numbers, it often begins at 0. */
function smallest(column: string, data: LayerData): Domain {
  const [least = 0] = data.quantiles(column, 2);
  return least > 0 ? (data.range(column, "log")?.domain ?? [0, 0]) : [0, 0];
}

// -- ramps

interface Scaled {
  /** Values at which a colour is reached, ascending. */
  values: number[];
  domain: Domain;
  isBelow: boolean;
  isAbove: boolean;
}

function ramp(spec: RampColor, { base }: StyleSpec, data: LayerData): Drawable {
  const missing = spec.missing ?? MISSING;
  const scaled = valuesOf(spec, data);
  if (!scaled) return constant(base);
  const label = spec.label || spec.column;
  const number = ["get", spec.column];
  const isNumber = ["==", ["typeof", number], "number"];
  const classes = spec.breaks ?? (spec.steps ? scaled.values : null);
  const [colors, value] = classes
    ? [spec.colors, stepped(number, classes, spec.colors)]
    : blended(number, scaled.values, spec);
  const stops = classes ? blocks(colors) : gradient(scaled, colors, spec);
  const ticks = classes ? blockTicks(classes, scaled) : ticksIn(scaled, spec);
  const entry: Entry = { type: "ramp", label, stops, ticks, missing: spec.missing };
  return { value: ["case", isNumber, value, missing], entry, isByData: true };
}

function valuesOf(spec: RampColor, data: LayerData): Scaled | null {
  const { breaks, domain, scale, column, colors, steps } = spec;
  const inner = steps ? steps - 1 : 0;
  if (breaks) return { values: breaks, domain: endsOf(breaks), isBelow: true, isAbove: true };
  if (scale === "quantile" && !domain) {
    const count = steps ? steps + 1 : colors.length;
    const values = data.quantiles(column, count);
    if (values.length === 0) return null;
    return { values: steps ? values.slice(1, -1) : values, domain: endsOf(values), isBelow: false, isAbove: false };
  }
  const found = domain ? { domain: endsOf(domain), isBelow: false, isAbove: false } : data.range(column, scale);
  if (!found) return null;
  if (inner) return { ...found, values: between(found.domain, steps ?? 2, scale).slice(1, -1) };
  if (domain && domain.length > 2) return { ...found, values: domain };
  return { ...found, values: between(found.domain, colors.length - 1, scale) };
}

function endsOf(values: readonly number[]): Domain {
  return [values[0] ?? 0, values[values.length - 1] ?? 0];
}

/** The ends and the places between them that cut a range into equal parts. */
function between([low, high]: Domain, parts: number, scale: string): number[] {
  const share = (i: number) => i / parts;
  if (scale === "log") return range(parts + 1).map((i) => low * (high / low) ** share(i));
  return range(parts + 1).map((i) => (i === parts ? high : low + (high - low) * share(i)));
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function blended(number: unknown, values: number[], { colors, scale }: RampColor): [string[], unknown] {
  const ascending = values.filter((value, i) => i === 0 || value > (values[i - 1] ?? 0));
  if (ascending.length < 2) {
    const middle = colors[colors.length >> 1] ?? "";
    return [[middle], middle];
  }
  const place = (value: number) => (scale === "log" ? Math.log10(value) : value);
  const input = scale === "log" ? ["log10", ["max", number, LEAST]] : number;
  const stops = ascending.flatMap((value, i) => [place(value), colors[i] ?? colors[colors.length - 1]]);
  return [colors, ["interpolate", ["linear"], input, ...stops]];
}

function stepped(number: unknown, breaks: readonly number[], colors: readonly string[]): unknown {
  const [first = "", ...others] = colors;
  const ascending = breaks.filter((value, i) => i === 0 || value > (breaks[i - 1] ?? 0));
  if (ascending.length === 0) return first;
  return ["step", number, first, ...ascending.flatMap((value, i) => [value, others[i] ?? first])];
}

function gradient({ values, domain }: Scaled, colors: readonly string[], { scale }: RampColor): Stop[] {
  if (colors.length === 1) return [0, 1].map((at) => ({ at, color: colors[0] ?? "" }));
  // Of quantiles each colour has the same room, whatever lies between its values.
  if (scale === "quantile") return colors.map((color, i) => ({ at: i / (colors.length - 1), color }));
  const place = scale === "log" ? logPlace(domain) : linearPlace(domain);
  return values.map((value, i) => ({ at: place(value), color: colors[i] ?? "" }));
}

/** Each class as long as the others. */
function blocks(colors: readonly string[]): Stop[] {
  return colors.flatMap((color, i) => [
    { at: i / colors.length, color },
    { at: (i + 1) / colors.length, color },
  ]);
}

function blockTicks(breaks: readonly number[], { domain, isBelow, isAbove }: Scaled): Tick[] {
  const length = Math.max(Math.abs(domain[1] - domain[0]), Number.MIN_VALUE);
  const every = Math.ceil(breaks.length / 5);
  const inner = breaks
    .map((value, i) => ({ at: (i + 1) / (breaks.length + 1), text: readable(value, length) }))
    .filter((_, i) => i % every === 0);
  if (isBelow && isAbove) return inner;
  return withRoom([
    { at: 0, text: readable(domain[0], length) },
    ...inner,
    { at: 1, text: readable(domain[1], length) },
  ]);
}

function ticksIn(scaled: Scaled, { scale, colors }: RampColor): Tick[] {
  const { domain, values, isBelow, isAbove } = scaled;
  const length = domain[1] - domain[0];
  if (!(length > 0)) return [{ at: 0.5, text: readable(domain[0]) }];
  const place = scale === "log" ? logPlace(domain) : linearPlace(domain);
  const ticks: Tick[] =
    scale === "quantile"
      ? quantileTicks(values, colors.length, length)
      : (scale === "log" ? logTicks(domain) : ticksOf(domain)).map((value) => {
          return { at: place(value), text: readable(value, scale === "log" ? Math.abs(value) : length) };
        });
  const last = ticks.length - 1;
  const marked = ticks.map(({ at, text }, i) => {
    if (i === 0 && isBelow) return { at, text: `≤ ${text}` };
    return i === last && isAbove ? { at, text: `≥ ${text}` } : { at, text };
  });
  return withRoom(marked);
}

function quantileTicks(values: readonly number[], count: number, length: number): Tick[] {
  const every = Math.max(1, Math.ceil((values.length - 1) / 4));
  return values
    .map((value, i) => ({ at: i / Math.max(1, count - 1), text: readable(value, length) }))
    .filter((_, i) => i % every === 0 || i === values.length - 1);
}

// -- categories

function categories(spec: CategoryColors, data: LayerData): Drawable {
  const label = spec.label || spec.column;
  const missing = spec.missing ?? MISSING;
  const { items, other, hasOthers } = spec.values ? fixed(spec, data) : found(spec, data);
  const text = ["to-string", ["get", spec.column]];
  const pairs = items.flatMap(({ value, color }) => [value, color]);
  const drawn = pairs.length > 0 ? ["match", text, ...pairs, other] : other;
  const shown = items.map(({ color, label: words }) => ({ color, label: words }));
  if (hasOthers) shown.push({ color: other, label: "other" });
  const value = ["case", ["==", ["typeof", ["get", spec.column]], "null"], missing, drawn];
  return { value, entry: { type: "categories", label, items: shown }, isByData: true };
}

interface Items {
  items: { value: string; color: string; label: string }[];
  other: string;
  hasOthers: boolean;
}

function fixed({ values, other, column }: CategoryColors, data: LayerData): Items {
  const items = new Map((values ?? []).map(({ value, ...rest }) => [String(value), { value: String(value), ...rest }]));
  const hasOthers = other !== null && data.hasOthers(column, [...items.keys()]);
  return { items: [...items.values()], other: other ?? MISSING, hasOthers };
}

function found({ column, colors, other }: CategoryColors, data: LayerData): Items {
  const [own, last = MISSING] = [colors.slice(0, -1), colors[colors.length - 1]];
  const classes = data.classes(column, own.length);
  const items = classes.map((value, i) => ({ value, color: own[i] ?? last, label: value || "(empty)" }));
  return { items, other: other ?? last, hasOthers: data.hasOthers(column, classes) };
}

// -- sizes

function sized(size: SizeSpec | null, data: LayerData): unknown {
  if (size === null || typeof size === "number") return size;
  if (size.kind === "expression") return size.value;
  const domain = domainOf(size, data);
  if (!domain) return (size.range[0] + size.range[1]) / 2;
  const number = ["get", size.column];
  const place = (value: number) => (size.scale === "log" ? Math.log10(Math.max(value, LEAST)) : value);
  const input = size.scale === "log" ? ["log10", ["max", number, LEAST]] : number;
  const [low, high] = [place(domain[0]), place(domain[1])];
  if (!(high > low)) return (size.range[0] + size.range[1]) / 2;
  const value = ["interpolate", ["linear"], input, low, size.range[0], high, size.range[1]];
  return ["case", ["==", ["typeof", number], "number"], value, size.range[0]];
}

function domainOf({ column, domain, scale }: ScaledSize, data: LayerData): Domain | null {
  return domain ?? data.range(column, scale === "quantile" ? "linear" : scale)?.domain ?? null;
}

function noteOf(what: string, size: SizeSpec | null, data: LayerData): Entry[] {
  if (size === null || typeof size === "number" || size.kind !== "scaled") return [];
  const domain = domainOf(size, data);
  if (!domain) return [];
  const length = domain[1] - domain[0];
  return [
    { type: "note", text: `${what}: ${size.column}, ${domain.map((end) => readable(end, length)).join(" to ")}` },
  ];
}
