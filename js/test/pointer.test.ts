import { describe, expect, it, vi } from "vitest";
import { layoutOf, readGrid } from "../src/pointer/npy";
import { pixelAt, placeInTile, rasterZoom } from "../src/pointer/place";
import { cut, featureRows, formatValue, pixelRows } from "../src/pointer/text";
import { ValueReader } from "../src/pointer/values";

/** A file as NumPy writes it; its own files are read in tests/widgets/test_pointer_page.py. */
function npy(descr: string, shape: number[], body: Uint8Array, { fortran = false, version = 1 } = {}): ArrayBuffer {
  const order = fortran ? "True" : "False";
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${tuple}), }\n`;
  const lead = version === 1 ? 10 : 12;
  const bytes = new Uint8Array(lead + header.length + body.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), lead);
  bytes.set(body, lead + header.length);
  return bytes.buffer;
}

function joined(...parts: ArrayBuffer[]): ArrayBuffer {
  const bytes = parts.flatMap((part) => [...new Uint8Array(part)]);
  return new Uint8Array(bytes).buffer;
}

const raw = (values: ArrayBufferView) => new Uint8Array(values.buffer.slice(0));

describe("readGrid", () => {
  it("reads all types of numbers, in either order of bytes", () => {
    const one = (descr: string, values: ArrayBufferView) => readGrid(npy(descr, [1, 2], raw(values)))?.pixel(0, 1);
    expect(one("|u1", new Uint8Array([1, 200]))).toEqual([200]);
    expect(one("|i1", new Int8Array([1, -3]))).toEqual([-3]);
    expect(one("|b1", new Uint8Array([0, 1]))).toEqual([true]);
    expect(one("<i2", new Int16Array([1, -300]))).toEqual([-300]);
    expect(one(">i2", new Uint8Array([0, 1, 0xfe, 0xd4]))).toEqual([-300]);
    expect(one("<u4", new Uint32Array([1, 4e9]))).toEqual([4e9]);
    expect(one("<f4", new Float32Array([1, 0.1]))).toEqual([Math.fround(0.1)]);
    expect(one("<f8", new Float64Array([1, 0.1]))).toEqual([0.1]);
    expect(one("<f2", new Uint16Array([0, 0xc248]))).toEqual([-3.140625]);
    expect(one("<f2", new Uint16Array([0, 0x0001]))).toEqual([2 ** -24]);
    expect(one("<i8", new BigInt64Array([1n, -5n]))).toEqual([-5]);
    expect(one("<i8", new BigInt64Array([1n, 2n ** 60n + 1n]))).toEqual([String(2n ** 60n + 1n)]);
  });

  it("has null for NaN and text for infinity", () => {
    const grid = readGrid(npy("<f4", [1, 3], raw(new Float32Array([Number.NaN, Number.POSITIVE_INFINITY, 0]))));
    expect([0, 1, 2].map((column) => grid?.pixel(0, column))).toEqual([[null], ["Infinity"], [0]]);
  });

  it("finds bands first, bands last and none", () => {
    const values = raw(new Uint8Array(60).map((_, i) => i));
    expect(readGrid(npy("|u1", [3, 4, 5], values))?.pixel(1, 2)).toEqual([7, 27, 47]);
    expect(readGrid(npy("|u1", [5, 6, 2], values))?.pixel(1, 2)).toEqual([16, 17]);
    expect(readGrid(npy("|u1", [6, 10], values))?.pixel(1, 2)).toEqual([12]);
    expect(readGrid(npy("|u1", [6, 10], values, { fortran: true }))?.pixel(1, 2)).toEqual([13]);
    expect(readGrid(npy("|u1", [6, 10], values, { version: 2 }))?.pixel(1, 2)).toEqual([12]);
  });

  it("takes the first of leading dimensions", () => {
    const grid = readGrid(npy("|u1", [2, 1, 2, 3], raw(new Uint8Array(12).map((_, i) => i))));
    expect(grid).toMatchObject({ bands: 1, height: 2, width: 3 });
    expect(grid?.pixel(1, 1)).toEqual([4]);
  });

  it("believes the second array of what is missing", () => {
    const values = npy("|u1", [2, 2], raw(new Uint8Array([0, 0, 7, 8])));
    const missing = npy("|b1", [2, 2], raw(new Uint8Array([1, 0, 0, 1])));
    const grid = readGrid(joined(values, missing));
    expect([grid?.pixel(0, 0), grid?.pixel(0, 1), grid?.pixel(1, 0), grid?.pixel(1, 1)]).toEqual([
      [null],
      [0],
      [7],
      [null],
    ]);
  });

  it("is null for what is no picture", () => {
    expect(readGrid(new ArrayBuffer(0))).toBeNull();
    expect(readGrid(npy("<f8", [0], new Uint8Array(0)))).toBeNull();
    expect(readGrid(npy("<f8", [3], raw(new Float64Array(3))))).toBeNull();
    expect(readGrid(npy("<U3", [1, 1], new Uint8Array(12)))).toBeNull();
    expect(readGrid(new TextEncoder().encode('{"error": "no"}').buffer as ArrayBuffer)).toBeNull();
  });
});

describe("layoutOf", () => {
  it("has the rule of bands_first", () => {
    const side = (shape: number[]) => (({ bands, height, width }) => [bands, height, width])(layoutOf(shape));
    expect(side([4, 9, 3])).toEqual([4, 9, 3]);
    expect(side([9, 8, 4])).toEqual([4, 9, 8]);
    expect(side([12, 256, 256])).toEqual([12, 256, 256]);
    expect(side([256, 256, 12])).toEqual([12, 256, 256]);
  });
});

describe("places", () => {
  it("are in the tile that MapLibre draws", () => {
    const layer = { min_zoom: 2, max_zoom: 8, tile_size: 256 };
    expect([0.4, 0.6, 2, 2.6, 12].map((zoom) => rasterZoom(zoom, layer))).toEqual([null, 2, 3, 4, 8]);
    expect(rasterZoom(2.6, { ...layer, tile_size: 512 })).toBe(3);
  });

  it("are counted from the tile's upper left corner", () => {
    const place = placeInTile(-90 + 1e-9, 66.5, 1);
    expect(place.tile).toEqual({ z: 1, x: 0, y: 0 });
    expect(place.across).toBeCloseTo(0.5);
    expect(pixelAt({ ...place, across: 0.999, down: 0.01 }, { height: 10, width: 4 })).toEqual([0, 3]);
  });

  it("wrap around the globe, and stay inside at its edges", () => {
    expect(placeInTile(190, 0.1, 2).tile).toEqual({ z: 2, x: 0, y: 1 });
    for (const place of [placeInTile(180, -89, 3), placeInTile(-180, 89, 3)]) {
      expect(place.across).toBeGreaterThanOrEqual(0);
      expect(place.across).toBeLessThan(1);
      expect(place.down).toBeGreaterThanOrEqual(0);
      expect(place.down).toBeLessThan(1);
    }
  });
});

describe("text", () => {
  it("keeps whole numbers whole and others short", () => {
    expect([2024, 4.123456789, 1e-9, 0, -0.5, 123456.789].map((value) => formatValue(value))).toEqual([
      "2024",
      "4.12346",
      "1e-9",
      "0",
      "-0.5",
      "123457",
    ]);
    expect(formatValue(Math.fround(0.1), 7)).toBe("0.1");
  });

  it("says of nothing that it is nothing", () => {
    expect([null, undefined, "", false].map((value) => formatValue(value))).toEqual(["–", "–", "–", "false"]);
  });

  it("cuts between characters, not within one", () => {
    expect(cut("a".repeat(160))).toHaveLength(160);
    expect([...cut("🌍".repeat(200))]).toHaveLength(160);
    expect(cut("🌍".repeat(200)).endsWith("🌍…")).toBe(true);
  });

  it("shows the properties that the layer says", () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`p${i}`, i]));
    expect(featureRows(many, "none")).toEqual([]);
    expect(featureRows(many, "all")).toHaveLength(9);
    expect(featureRows(many, "auto").at(-1)).toEqual(["", "3 more"]);
    expect(featureRows({ a: 1, b: 2 }, [["b", "B"]])).toEqual([["B", "2"]]);
    const seven = Object.fromEntries(Object.entries(many).slice(0, 7));
    expect(featureRows(seven, "auto").at(-1)).toEqual(["p6", "6"]);
  });

  it("names bands by the layer's labels", () => {
    expect(pixelRows([1.5], 7, "auto")).toEqual([["value", "1.5"]]);
    expect(pixelRows([1, null], 3, "auto")).toEqual([
      ["band 1", "1"],
      ["band 2", "–"],
    ]);
    expect(pixelRows([1, 2, 3], 3, [["1", "red"]])).toEqual([["red", "1"]]);
    expect(pixelRows(Array(9).fill(1), 3, "auto").at(-1)).toEqual(["", "3 more bands"]);
    expect(pixelRows([null, null], 3, "auto")).toEqual([["", "no data"]]);
  });
});

describe("ValueReader", () => {
  const place = placeInTile(1, 1, 1);
  const tile = () => new Response(npy("|u1", [1, 1], raw(new Uint8Array([9]))));

  it("asks once for a tile, also while it is under way, and again after a failure", async () => {
    const fetch = vi.fn(async () => tile());
    fetch.mockResolvedValueOnce(new Response('{"error": "no"}', { status: 422 }));
    const reader = new ValueReader({ fetch }, new AbortController().signal);

    await expect(reader.read("u/{z}/{x}/{y}.npy?v=1", place)).rejects.toThrow("no");
    const both = [reader.read("u/{z}/{x}/{y}.npy?v=1", place), reader.read("u/{z}/{x}/{y}.npy?v=1", place)];

    expect((await Promise.all(both)).map((reading) => reading?.values)).toEqual([[9], [9]]);
    expect(fetch).toHaveBeenCalledTimes(2);
    await reader.read("u/{z}/{x}/{y}.npy?v=2", place);
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  it("keeps a few tiles, the last used", async () => {
    const fetch = vi.fn(async () => tile());
    const reader = new ValueReader({ fetch }, new AbortController().signal);
    const read = (version: number) => reader.read(`u/{z}/{x}/{y}.npy?v=${version}`, place);

    for (let version = 0; version < 12; version++) await read(version);
    await read(0);
    await read(12);
    await read(0);
    expect(fetch).toHaveBeenCalledTimes(13);
    await read(1);
    expect(fetch).toHaveBeenCalledTimes(14);
  });

  it("has no values where the tile is empty or no picture", async () => {
    for (const status of [204, 406]) {
      const fetch = async () => new Response(null, { status });
      expect(await new ValueReader({ fetch }, new AbortController().signal).read("u", place)).toBeNull();
    }
  });
});
