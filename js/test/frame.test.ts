import { describe, expect, it } from "vitest";
import { tileAt } from "../src/tiles/address";
import { type Extent, tilesInView, type Viewport } from "../src/tiles/frame";

const WORLD: Extent = { visible: true, min_zoom: 0, max_zoom: 22, tile_size: 256, bounds: null };

function viewport([west, south, east, north]: number[], zoom: number): Viewport {
  const bounds = { getWest: () => west, getSouth: () => south, getEast: () => east, getNorth: () => north };
  return { getZoom: () => zoom, getBounds: () => bounds } as unknown as Viewport;
}

function names(map: Viewport, extent: Partial<Extent> = {}, kind: "raster" | "vector" = "raster"): string[] {
  return tilesInView(map, { ...WORLD, ...extent }, kind).map(({ z, x, y }) => `${z}/${x}/${y}`);
}

describe("tilesInView", () => {
  it("is every tile of a grid that touches the view, and no more", () => {
    const map = viewport([-10, -10, 60, 50], 2);
    const z = 3;
    const expected = new Set<string>();
    for (let longitude = -10; longitude <= 60; longitude += 0.5) {
      for (let latitude = -10; latitude <= 50; latitude += 0.5) {
        const { x, y } = tileAt(longitude, latitude, z);
        expected.add(`${z}/${x}/${y}`);
      }
    }
    expect(new Set(names(map))).toEqual(expected);
  });

  it("rounds the zoom for pictures and cuts it for vectors, within the layer's own", () => {
    const here = [4.9, 52.3, 4.91, 52.31];
    const zoomOf = (zoom: number, extent: Partial<Extent>, kind: "raster" | "vector") =>
      Number(names(viewport(here, zoom), extent, kind)[0]?.split("/")[0]);
    expect(zoomOf(9.4, {}, "raster")).toBe(10);
    expect(zoomOf(9.6, {}, "raster")).toBe(11);
    expect(zoomOf(9.6, { tile_size: 512 }, "raster")).toBe(10);
    expect(zoomOf(9.9, {}, "vector")).toBe(9);
    expect(zoomOf(9.9, { max_zoom: 5 }, "vector")).toBe(5);
    expect(names(viewport(here, 3), { min_zoom: 8 })).toEqual([]);
    expect(names(viewport(here, 9), { visible: false })).toEqual([]);
  });

  it("goes on across the antimeridian, and asks for a tile once where the world is seen twice", () => {
    expect(names(viewport([170, -10, 190, 10], 1), {}, "vector").sort()).toEqual(["1/0/0", "1/0/1", "1/1/0", "1/1/1"]);
    expect(names(viewport([-400, -80, 400, 80], 0), {}, "vector")).toEqual(["0/0/0"]);
  });

  it("leaves out what lies outside the layer's bounds", () => {
    const map = viewport([-180, -85, 180, 85], 1);
    expect(names(map, { bounds: [1, 1, 2, 2] }, "vector")).toEqual(["1/1/0"]);
  });
});
