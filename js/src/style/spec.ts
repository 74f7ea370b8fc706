/** How a layer is to look, as Python says it; the twin is fused_jupyter/widgets/_style/looks.py and spec.py. */

import type { Paint } from "../protocol";

export type Scalar = string | number | boolean;
export type Scale = "linear" | "log" | "quantile";

export interface ConstantColor {
  kind: "constant";
  color: string;
}

/** A MapLibre expression. */
export interface Expression {
  kind: "expression";
  value: unknown[];
}

export interface RampColor {
  kind: "ramp";
  column: string;
  colors: string[];
  /** Ascending; two numbers are the ends, more have a colour each; null leaves it to the data. */
  domain: number[] | null;
  scale: Scale;
  /** So many classes instead of a smooth ramp. */
  steps: number | null;
  /** Where a class ends and the next begins. */
  breaks: number[] | null;
  missing: string | null;
  label: string;
  /** Whether the automatic style takes over where there is no such column. */
  is_optional: boolean;
}

export interface CategoryColors {
  kind: "categories";
  column: string;
  /** Null leaves them to the data. */
  values: { value: Scalar; color: string; label: string }[] | null;
  /** For values that the data has; the last one is for all others. */
  colors: string[];
  other: string | null;
  missing: string | null;
  label: string;
  is_optional: boolean;
}

export interface AutoColor {
  kind: "auto";
  /** Null leaves it to the data. */
  column: string | null;
  colors: string[] | null;
  classes: string[] | null;
  missing: string | null;
  label: string;
}

export type ColorSpec = ConstantColor | Expression | RampColor | CategoryColors | AutoColor;

export interface ScaledSize {
  kind: "scaled";
  column: string;
  /** Pixels at the ends. */
  range: [number, number];
  domain: [number, number] | null;
  scale: Scale;
}

export type SizeSpec = number | Expression | ScaledSize;

export interface StyleSpec {
  /** The layer's own colour. */
  base: string;
  /** Of everything that has no colour of its own; null leaves it to the data. */
  color: ColorSpec | null;
  /** Of polygons and points. */
  fill: ColorSpec | null;
  /** Of lines and outlines. */
  line: ColorSpec | null;
  line_width: SizeSpec | null;
  radius: SizeSpec | null;
  opacity: number;
  filled: boolean;
  stroked: boolean;
  /** MapLibre's own properties; they win. */
  paint: Paint;
  /** Another style for features that have this property. */
  hexagons: { column: string; style: StyleSpec } | null;
}

/** The style of a layer that says nothing: the data decide. */
export function automatic(base: string): StyleSpec {
  const unsaid = { color: null, fill: null, line: null, line_width: null, radius: null, hexagons: null };
  return { base, ...unsaid, opacity: 1, filled: true, stroked: true, paint: {} };
}

/** The same style in one colour. */
export function recolored(style: StyleSpec, color: string): StyleSpec {
  const { hexagons } = style;
  return {
    ...style,
    base: color,
    color: { kind: "constant", color },
    fill: null,
    line: null,
    hexagons: hexagons && { ...hexagons, style: recolored(hexagons.style, color) },
  };
}
