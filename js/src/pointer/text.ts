/** What tooltips and popups say: which properties, in which words. Nothing here is HTML. */

import type { TooltipSpec } from "../protocol";
import type { PixelValue } from "./npy";

const FIRST_FIELDS = 6; // of "auto"
const MOST_FIELDS = 40;
const FIRST_BANDS = 6;
const LONGEST = 160; // characters
const DIGITS = 6; // of a property that is no whole number

/** Label and text. */
export type Row = [label: string, text: string];

/** A value in a few words. */
export function formatValue(value: unknown, digits = DIGITS): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return formatNumber(value, digits);
  return cut(typeof value === "object" ? JSON.stringify(value) : String(value));
}

function formatNumber(value: number, digits: number): string {
  // Whole numbers are years, counts and ids: all of their digits count, and no separator belongs into them.
  if (Number.isSafeInteger(value)) return String(value);
  return String(Number(value.toPrecision(digits)));
}

/** At most 160 characters; the end of what was cut is a dot-dot-dot. */
export function cut(text: string): string {
  const characters = [...text.slice(0, 2 * LONGEST + 2)]; // one of two halves counts once
  return characters.length > LONGEST
    ? `${characters
        .slice(0, LONGEST - 1)
        .join("")
        .trimEnd()}…`
    : text;
}

/** The rows that a layer's tooltip has for a feature. */
export function featureRows(properties: Readonly<Record<string, unknown>>, tooltip: TooltipSpec): Row[] {
  if (Array.isArray(tooltip)) return tooltip.map(([name, label]) => [label, formatValue(properties[name])]);
  const limit = LIMITS[tooltip];
  const rows = Object.entries(properties).map(([name, value]): Row => [name, formatValue(value)]);
  const rest = rows.length - limit;
  return rest > 1 && limit > 0
    ? [...rows.slice(0, limit), ["", `${rest} more`]]
    : rows.slice(0, limit + Math.min(limit, 1));
}

/** Properties that are shown where no list says which. */
const LIMITS: Record<"auto" | "all" | "none", number> = { auto: FIRST_FIELDS, all: MOST_FIELDS, none: 0 };

/** The rows for a pixel: the labels of a list are the names of the bands, in their order. */
export function pixelRows(values: readonly PixelValue[], digits: number, tooltip: TooltipSpec): Row[] {
  if (values.every((value) => value === null)) return [["", "no data"]];
  const labels = Array.isArray(tooltip) ? tooltip.map(([, label]) => label) : [];
  const limit = labels.length || (tooltip === "all" ? MOST_FIELDS : FIRST_BANDS);
  const rows = values
    .slice(0, limit)
    .map((value, i): Row => [labels[i] ?? bandName(i, values.length), formatValue(value, digits)]);
  return values.length > limit && labels.length === 0 ? [...rows, ["", `${values.length - limit} more bands`]] : rows;
}

function bandName(index: number, count: number): string {
  return count === 1 ? "value" : `band ${index + 1}`;
}
