/** The world that a map shows without the internet: land and borders, written by world.mjs. */

import type { MultiLineString, MultiPolygon } from "geojson";
import type { StyleSpecification } from "maplibre-gl";

type Line = number[];

interface Packed {
  /** Steps for each degree. */
  unit: number;
  /** Polygons, each a list of rings. */
  land: Line[][];
  borders: Line[];
}

export interface World {
  land: MultiPolygon;
  borders: MultiLineString;
}

const COLORS = {
  light: { sea: "#e6ebef", land: "#fbfbf9", border: "#c3cad1" },
  dark: { sea: "#171b20", land: "#2b323a", border: "#4c5661" },
};
const EDGE = 85.06; // degrees; beyond, Mercator has nothing

/** What lies under the layers where there is nothing but a colour. */
export function plainStyle(isDark: boolean): StyleSpecification {
  const { sea } = COLORS[isDark ? "dark" : "light"];
  return {
    version: 8,
    sources: {},
    layers: [{ id: "background", type: "background", paint: { "background-color": sea } }],
  };
}

export function worldStyle({ land, borders }: World, isDark: boolean): StyleSpecification {
  const colors = COLORS[isDark ? "dark" : "light"];
  const plain = plainStyle(isDark);
  const source = (data: MultiPolygon | MultiLineString) => ({
    type: "geojson" as const,
    data,
    maxzoom: 8,
    attribution: "Natural Earth",
  });
  return {
    ...plain,
    sources: { land: source(land), borders: source(borders) },
    layers: [
      ...plain.layers,
      { id: "land", type: "fill", source: "land", paint: { "fill-color": colors.land } },
      {
        id: "borders",
        type: "line",
        source: "borders",
        paint: { "line-color": colors.border, "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.4, 4, 1] },
      },
    ],
  };
}

export function readWorld(text: string): World {
  const { unit, land, borders } = JSON.parse(text) as Packed;
  const read = (line: Line) => unpack(line, unit);
  return {
    land: { type: "MultiPolygon", coordinates: land.map((polygon) => polygon.map(read)) },
    borders: { type: "MultiLineString", coordinates: borders.map(read) },
  };
}

/** From the first point and steps to degrees. */
function unpack(line: Line, unit: number): [number, number][] {
  const points: [number, number][] = [];
  let [x, y] = [0, 0];
  for (let i = 0; i < line.length; i += 2) {
    x += line[i] ?? 0;
    y += line[i + 1] ?? 0;
    points.push([x / unit, Math.max(-EDGE, Math.min(EDGE, y / unit))]);
  }
  return points;
}
