/** From a look to MapLibre's paint properties. */

import type { Look } from "./resolve";

type Properties = Record<string, unknown>;

const POLYGONS = ["Polygon", "MultiPolygon"];
const OPACITIES: Record<string, string[]> = {
  raster: ["raster-opacity"],
  fill: ["fill-opacity"],
  line: ["line-opacity"],
  circle: ["circle-opacity", "circle-stroke-opacity"],
};
const CLEAR = { constant: 0.4, byData: 0.8, own: 1 };

/** The paint of one type of style layer, faded by the layer's own opacity. */
export function paintOf(look: Look, type: string, opacity: number): Properties {
  const own = look.spec.paint[type] ?? {};
  const paint = { ...PAINTS[type]?.(look), ...own };
  const faded = { ...paint };
  const factor = opacity * look.spec.opacity;
  for (const property of OPACITIES[type] ?? []) {
    const value = paint[property] ?? 1;
    faded[property] = typeof value === "number" ? value * factor : times(value, factor);
  }
  return faded;
}

const PAINTS: Record<string, (look: Look) => Properties> = {
  // A new version replaces the old tiles at once instead of shining through them.
  raster: () => ({ "raster-fade-duration": 0 }),
  fill: (look) => ({ "fill-color": look.fill.value, "fill-opacity": look.spec.filled ? clearness(look) : 0 }),
  line,
  circle,
};

/** How much of what lies below shines through a polygon. */
function clearness({ spec, fill }: Look): number {
  if (fill.isByData) return CLEAR.byData;
  const color = spec.fill?.kind === "constant" ? spec.fill.color : null;
  if (color === null) return CLEAR.constant;
  return color.length > 7 ? CLEAR.own : CLEAR.byData;
}

/** Lines, and the outlines of polygons: thin where the area has a colour of its own. */
function line({ spec, line: color, lineWidth, fill }: Look): Properties {
  const thin = fill.isByData && spec.filled && !spec.line;
  const outlined = (there: number, around: number) => ["match", ["geometry-type"], POLYGONS, around, there];
  const widths = thin ? [outlined(0.8, 0.2), outlined(2, 0.8)] : [0.8, 2];
  return {
    "line-color": color.value,
    "line-width": lineWidth ?? ["interpolate", ["linear"], ["zoom"], 3, widths[0], 12, widths[1]],
    "line-opacity": spec.stroked ? 0.95 : outlined(0.95, 0),
  };
}

function circle({ spec, fill, line: color, radius, lineWidth }: Look): Properties {
  const ring = spec.line ? { "circle-stroke-color": color.value } : { "circle-stroke-color": "#ffffff" };
  const width = spec.line ? (lineWidth ?? 1) : ["interpolate", ["linear"], ["zoom"], 2, 0, 6, 1];
  const isClear = spec.fill?.kind === "constant" && spec.fill.color.length > 7;
  return {
    "circle-color": spec.filled ? fill.value : color.value,
    "circle-radius": radius ?? ["interpolate", ["linear"], ["zoom"], 0, 2, 4, 3.5, 14, 7],
    "circle-opacity": spec.filled && isClear ? 1 : 0.85,
    ...ring,
    "circle-stroke-width": spec.stroked ? width : 0,
  };
}

/** MapLibre lets the zoom stand at the head of an expression only, so what it leads to is multiplied. */
function times(value: unknown, factor: number): unknown {
  if (factor === 1) return value;
  if (!Array.isArray(value)) return value;
  const [head, ...rest] = value;
  const isByZoom = (head === "interpolate" || head === "step") && JSON.stringify(rest).includes('["zoom"]');
  if (!isByZoom) return ["*", factor, value];
  const first = head === "interpolate" ? 3 : 2; // where outputs begin
  return value.map((part, i) => {
    const isOutput = head === "interpolate" ? i > first && (i - first) % 2 === 1 : i >= first && (i - first) % 2 === 0;
    if (!isOutput) return part;
    return typeof part === "number" ? part * factor : ["*", factor, part];
  });
}
