/** Geometry of shapes while they are drawn. */

/** Longitude, latitude in degrees. */
export type Position = [longitude: number, latitude: number];

/** A GeoJSON feature; the trait `shapes` is a list of them, read by fused_jupyter/widgets/_drawing.py. */
export interface Shape {
  type: "Feature";
  properties: Record<string, unknown>;
  geometry: { type: string; coordinates: unknown };
}

export type ShapeKind = "box" | "polygon";

const DIGITS = 7; // a centimetre

/** The finished shape; null where it has no area yet. */
export function finish(kind: ShapeKind, corners: readonly Position[]): Shape | null {
  const ring = RINGS[kind](corners);
  if (ring.length < 3 || area(ring) === 0) return null;
  return polygon(kind, [...ring, ring[0] as Position]);
}

/** What is seen on the way: the line so far, or the area once there is one. */
export function preview(kind: ShapeKind, corners: readonly Position[], pointer: Position): Shape {
  const shape = finish(kind, [...corners, pointer]);
  if (shape) return shape;
  const coordinates = [...corners, pointer];
  return { type: "Feature", properties: { kind }, geometry: { type: "LineString", coordinates } };
}

const RINGS: Record<ShapeKind, (corners: readonly Position[]) => Position[]> = {
  box: ([first, last]) => (first && last ? boxRing(first, last) : []),
  polygon: (corners) => [...corners],
};

function boxRing([x1, y1]: Position, [x2, y2]: Position): Position[] {
  const [west, east] = [Math.min(x1, x2), Math.max(x1, x2)];
  const [south, north] = [Math.min(y1, y2), Math.max(y1, y2)];
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
  ];
}

/** Begins in the world, at -180 to 180 degrees; who crosses the antimeridian counts on. */
function polygon(kind: ShapeKind, ring: Position[]): Shape {
  const west = Math.min(...ring.map(([longitude]) => longitude));
  const turns = Math.floor((west + 180) / 360) * 360;
  const upright = signedArea(ring) < 0 ? [...ring].reverse() : ring; // GeoJSON wants it counterclockwise
  const coordinates = [upright.map(([x, y]): Position => [rounded(x - turns), rounded(y)])];
  return { type: "Feature", properties: { kind }, geometry: { type: "Polygon", coordinates } };
}

function area(ring: readonly Position[]): number {
  // Without rounding, three points on a line enclose some 1e-17 square degrees.
  return rounded(Math.abs(signedArea(ring)));
}

function signedArea(ring: readonly Position[]): number {
  return ring.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length] as Position;
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);
}

function rounded(degrees: number): number {
  return Number(degrees.toFixed(DIGITS));
}
