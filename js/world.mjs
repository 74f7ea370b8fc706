// Builds world.json, the world that a map shows without the internet: land and borders between countries, from Natural
// Earth at 1:50 million (public domain, by way of world-atlas). The reader is src/layers/world.ts.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { feature, mesh } from "topojson-client";

const UNIT = 100; // steps per degree: a kilometre, less than a pixel up to zoom 6
const SMALLEST = 1.5; // steps by which a point must leave the line between its neighbours

/** Writes the file below the folder that holds node_modules. */
export async function buildWorld(source, target) {
  const atlas = JSON.parse(await readFile(join(source, "world-atlas/countries-50m.json"), "utf8"));
  const { land, countries } = atlas.objects;
  const polygons = feature(atlas, land).features.flatMap(({ geometry }) =>
    geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates,
  );
  const borders = mesh(atlas, countries, (one, other) => one !== other).coordinates;
  const rings = polygons.map((polygon) => polygon.map(packed).filter((ring) => ring.length >= 8));
  const world = {
    unit: UNIT,
    land: rings.filter((polygon) => polygon.length > 0),
    borders: borders.map(packed).filter((line) => line.length >= 4),
  };
  await writeFile(target, JSON.stringify(world));
}

/**
 * On a sphere the atlas needs no edge of the world, so its rings run across the antimeridian, and Antarctica's around
 * the pole: here they go on beyond 180 degrees, and MapLibre draws what lies there on the other side too.
 */
function unrolled(line) {
  let turns = 0;
  const points = line.map(([x, y], i) => {
    const step = i === 0 ? 0 : x - line[i - 1][0];
    if (Math.abs(step) > 180) turns -= Math.sign(step);
    return [x + 360 * turns, y];
  });
  if (turns === 0) return points;
  const [[firstX, firstY]] = points;
  const pole = 90 * Math.sign(firstY);
  const [lastX] = points[points.length - 1];
  const isRing = line[0][0] === line[line.length - 1][0] && firstY === line[line.length - 1][1];
  return isRing ? [...points, [lastX, pole], [firstX, pole], [firstX, firstY]] : points;
}

/** A line as steps: x, y of the first point, then the differences. */
function packed(line) {
  const points = thinned(unrolled(line).map(([x, y]) => [Math.round(x * UNIT), Math.round(y * UNIT)]));
  return points.flatMap(([x, y], i) => (i === 0 ? [x, y] : [x - points[i - 1][0], y - points[i - 1][1]]));
}

/** Douglas and Peucker's; the ends stay, and of a ring the point farthest from its end. */
function thinned(points) {
  const keep = new Set([0, points.length - 1]);
  const spans = [[0, points.length - 1]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [first, last] = span;
    let [farthest, distance] = [0, SMALLEST];
    for (let i = first + 1; i < last; i++) {
      const away = distanceTo(points[i], points[first], points[last]);
      if (away > distance) [farthest, distance] = [i, away];
    }
    if (!farthest) continue;
    keep.add(farthest);
    spans.push([first, farthest], [farthest, last]);
  }
  return points.filter((_, i) => keep.has(i));
}

function distanceTo([x, y], [ax, ay], [bx, by]) {
  const length = Math.hypot(bx - ax, by - ay);
  if (length === 0) return Math.hypot(x - ax, y - ay);
  return Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length;
}
