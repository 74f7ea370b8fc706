import { describe, expect, it } from "vitest";
import type { TileSpec } from "../src/protocol";
import { automatic } from "../src/style/spec";
import { kindOf, mergeParams, serialise, tileAt, tileCentre, tileTemplate, tileUrl } from "../src/tiles/address";

const LAYER: TileSpec = {
  type: "tiles",
  name: "quakes",
  udf: "quakes",
  kind: "auto",
  version: "abc",
  parameters: ["min_mag", "day"],
  params: {},
  style: automatic("#1c9fb0"),
  legend: true,
  opacity: 1,
  visible: true,
  min_zoom: 0,
  max_zoom: 22,
  tile_size: 256,
  bounds: null,
  tooltip: "auto",
};

describe("mergeParams", () => {
  it("keeps what the UDF takes, and the layer's own wins", () => {
    const layer = { parameters: ["min_mag", "day"], params: { min_mag: 6, own: 1 } };
    expect(mergeParams(layer, { min_mag: 4, day: 2, other: 3 })).toEqual({ min_mag: 6, day: 2, own: 1 });
  });

  it("keeps all for a UDF that takes all", () => {
    expect(mergeParams({ parameters: null, params: {} }, { a: 1 })).toEqual({ a: 1 });
  });
});

describe("serialise", () => {
  it.each([
    ["a b", "a b"],
    [4.5, "4.5"],
    [true, "true"],
    [[1, "x"], '[1,"x"]'],
    [{ a: null }, '{"a":null}'],
    [null, null],
    [undefined, null],
  ])("%j becomes %j", (value, text) => {
    expect(serialise(value)).toBe(text);
  });
});

describe("tileTemplate", () => {
  const options = { shared: { min_mag: 4, day: "a&b={z}" }, kernelId: "k", kind: "raster" as const };

  it("is absolute, escaped, and pins kernel and version", () => {
    const template = tileTemplate("https://h/user/ana/", LAYER, options);
    expect(template).toBe(
      "https://h/user/ana/fused/run/tiles/quakes/{z}/{x}/{y}.png?min_mag=4&day=a%26b%3D%7Bz%7D&kernel=k&v=abc",
    );
    expect(tileUrl(template, { z: 3, x: 1, y: 2 })).toContain("/quakes/3/1/2.png?min_mag=4&day=a%26b%3D%7Bz%7D&");
  });

  it.each([
    ["vector", "{y}.mvt?"],
    [null, "{y}?"],
  ] as const)("kind %s ends in %s", (kind, ending) => {
    expect(tileTemplate("https://h/", LAYER, { ...options, kind })).toContain(ending);
  });

  it("leaves null out", () => {
    const template = tileTemplate("https://h/", { ...LAYER, params: { day: null } }, { ...options, shared: {} });
    expect(template).toMatch(/\?kernel=k&v=abc$/);
  });
});

describe("tileAt", () => {
  it.each([
    [0, 0, 0, { z: 0, x: 0, y: 0 }],
    [-122.45, 37.75, 10, { z: 10, x: 163, y: 395 }],
    [179.9999, -89, 2.9, { z: 2, x: 3, y: 3 }],
    [-180, 89, 2, { z: 2, x: 0, y: 0 }],
    [540.1, 0, 1, { z: 1, x: 0, y: 1 }],
    [0, 0, -1, { z: 0, x: 0, y: 0 }],
  ])("%d, %d at zoom %d", (longitude, latitude, zoom, tile) => {
    expect(tileAt(longitude, latitude, zoom)).toEqual(tile);
  });
});

describe("tileCentre", () => {
  it("lies in its tile", () => {
    expect(tileCentre({ z: 0, x: 0, y: 0 })).toEqual([0, 0]);
    for (const tile of [
      { z: 3, x: 1, y: 6 },
      { z: 10, x: 163, y: 395 },
    ]) {
      expect(tileAt(...tileCentre(tile), tile.z)).toEqual(tile);
    }
  });
});

describe("kindOf", () => {
  it.each([
    ["image/png", "raster"],
    ["application/vnd.mapbox-vector-tile", "vector"],
    ["application/json", "vector"],
    [null, "vector"],
  ])("%s is %s", (mediaType, kind) => {
    expect(kindOf(mediaType)).toBe(kind);
  });
});
