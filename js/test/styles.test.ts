import { createPropertyExpression, latest, type StylePropertySpecification } from "@maplibre/maplibre-gl-style-spec";
import { fromGeojsonVt } from "@maplibre/vt-pbf";
import { describe, expect, it } from "vitest";
import { LayerData } from "../src/style/data";
import { readable, robustRange, ticksOf, widen, withRoom } from "../src/style/numbers";
import { paintOf } from "../src/style/paint";
import { AUTO_CLASSES, AUTO_RAMP, resolve } from "../src/style/resolve";
import { sampleGeoJson, sampleTile } from "../src/style/samples";
import { automatic, type ColorSpec, type RampColor, recolored, type StyleSpec } from "../src/style/spec";

type Properties = Record<string, string | number | boolean>;

const BASE = "#1c9fb0";
const SQUARE: [number, number][] = [
  [0, 0],
  [100, 0],
  [100, 100],
  [0, 100],
  [0, 0],
];

/** A vector tile, written by MapLibre's own writer. */
function tile(rows: Properties[], name = "udf"): ArrayBuffer {
  const features = rows.map((tags) => ({ type: 3, geometry: [SQUARE], tags }));
  const bytes = fromGeojsonVt({ [name]: { features } as never });
  return bytes.slice().buffer as ArrayBuffer;
}

function geoJson(rows: Properties[]): ArrayBuffer {
  const features = rows.map((properties) => ({
    type: "Feature",
    geometry: { type: "Point", coordinates: [4.9, 52.4] },
    properties,
  }));
  return new TextEncoder().encode(JSON.stringify({ type: "FeatureCollection", features })).buffer as ArrayBuffer;
}

function known(rows: Properties[]): LayerData {
  const data = new LayerData();
  data.addTile("0/0/0", tile(rows));
  return data;
}

function styled(color: ColorSpec | null, more: Partial<StyleSpec> = {}): StyleSpec {
  return { ...automatic(BASE), color, ...more };
}

function ramp(more: Partial<RampColor> = {}): RampColor {
  const colors = ["#ff0000", "#0000ff"];
  const unsaid = { domain: null, steps: null, breaks: null, missing: null, label: "", is_optional: false };
  return { kind: "ramp", column: "depth", colors, scale: "linear", ...unsaid, ...more };
}

/** What MapLibre makes of a colour: red, green, blue from 0 to 255. */
function drawn(value: unknown, properties: Properties): number[] {
  const specification = latest.paint_fill["fill-color"] as StylePropertySpecification;
  const written = Array.isArray(value) ? value : ["to-color", value];
  const expression = createPropertyExpression(written, "paint", specification);
  if (expression.result === "error") throw new Error(expression.value.map(({ message }) => message).join());
  const color = expression.value.evaluate({ zoom: 5 }, { type: 3, properties } as never);
  return [color.r, color.g, color.b].map((channel) => Math.round(channel * 255));
}

const numbers = (count: number, of: (i: number) => number) => Array.from({ length: count }, (_, i) => ({ v: of(i) }));

describe("samples", () => {
  const rows: Properties[] = [
    { name: "a", depth: 1.5, count: 7, below: -12, is_open: true },
    { name: "b", depth: -2.25, count: 2 ** 40, below: 5, is_open: false },
  ];

  it("reads what MapLibre's writer wrote", () => {
    const sample = sampleTile(tile(rows));

    expect(sample?.count).toBe(2);
    expect(sample?.geometries).toEqual(new Set(["polygon"]));
    expect(sample?.columns.get("depth")?.numbers).toEqual([1.5, -2.25]);
    expect(sample?.columns.get("count")?.numbers).toEqual([7, 2 ** 40]);
    expect(sample?.columns.get("below")?.numbers).toEqual([-12, 5]);
    expect([...(sample?.columns.get("name")?.texts ?? [])]).toEqual([
      ["a", 1],
      ["b", 1],
    ]);
    expect(sample?.columns.get("is_open")?.hasBooleans).toBe(true);
  });

  it("reads only our layer, and no pictures", () => {
    expect(sampleTile(tile(rows, "roads"))?.count).toBe(0);
    expect(sampleTile(new Uint8Array([0x89, 0x50, 0x4e, 0x47]).buffer)).toBeNull();
    expect(sampleTile(tile(rows).slice(0, 40))).toBeNull();
  });

  it("takes some of many features, from all parts of the tile", () => {
    const sample = sampleTile(tile(numbers(50_000, (i) => i)));

    const found = sample?.columns.get("v")?.numbers ?? [];
    expect(found.length).toBe(256);
    expect(Math.max(...found)).toBeGreaterThan(49_000);
  });

  it("takes a few milliseconds for 50 000 features", () => {
    const bytes = tile(numbers(50_000, (i) => i / 7));
    // Of the processor, for other programs run as well: 3 ms where nothing else does.
    const times = Array.from({ length: 20 }, () => {
      const before = process.cpuUsage();
      sampleTile(bytes);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    });

    expect(Math.min(...times)).toBeLessThan(8);
  });

  it("reads small GeoJSON whole and large GeoJSON in places", () => {
    const long = "x".repeat(300);
    const many = Array.from({ length: 5000 }, (_, i) => ({ v: i, note: `"properties":{"v":1} ${long}` }));

    expect(sampleGeoJson(geoJson(rows))?.columns.get("depth")?.numbers).toEqual([1.5, -2.25]);
    const sample = sampleGeoJson(geoJson(many));

    const found = sample?.columns.get("v")?.numbers ?? [];
    expect(sample?.geometries).toEqual(new Set(["point"]));
    expect(found.length).toBeGreaterThan(200);
    expect(new Set(found).size).toBe(found.length);
    expect(Math.max(...found)).toBeGreaterThan(4500);
  });
});

describe("numbers", () => {
  it("rounds ranges outwards to round numbers", () => {
    expect(widen([0.3012, 0.7018])).toEqual([0.3, 0.71]);
    expect(widen([-10_994.5, 8848.9])).toEqual([-11_000, 9000]);
    expect(widen([5, 5])).toEqual([5, 5]);
  });

  it("leaves outliers outside", () => {
    const sorted = [...Array.from({ length: 200 }, (_, i) => i), 1e6].sort((a, b) => a - b);
    const [low, high] = robustRange(sorted) ?? [0, 0];

    expect(low).toBeGreaterThan(0);
    expect(high).toBeLessThan(200);
    expect(robustRange([1, 2, 1000])).toEqual([1, 1000]);
    expect(robustRange([])).toBeNull();
  });

  it("puts ticks at the ends and at round numbers between", () => {
    expect(ticksOf([0, 8])).toEqual([0, 2, 4, 6, 8]);
    expect(ticksOf([0.3, 0.71])).toEqual([0.3, 0.4, 0.6, 0.71]);
    expect(ticksOf([4, 4])).toEqual([4]);
  });

  it("leaves out ticks whose words would run into each other", () => {
    const ticks = [0, 0.25, 0.5, 0.76, 1].map((at) => ({ at, text: at === 1 ? "≥ 9.9M" : "2.5M" }));

    expect(withRoom(ticks).map(({ at }) => at)).toEqual([0, 0.25, 0.5, 1]);
    expect(withRoom(ticks.slice(0, 2))).toHaveLength(2);
  });

  it("writes numbers that people can read", () => {
    expect([1990, 12_000, 3_400_000, 0.25, -3.5, 0].map((value) => readable(value))).toEqual([
      "1990",
      "12K",
      "3.4M",
      "0.25",
      "−3.5",
      "0",
    ]);
    expect(readable(0.000_000_2)).toBe("2e-7");
    expect(readable(0.1 + 0.2, 1)).toBe("0.3");
  });
});

describe("the automatic style", () => {
  it("takes the column of numbers that means something", () => {
    const rows = Array.from({ length: 40 }, (_, i) => ({
      fid: i,
      osm_id: 7_000_000 + i * 31,
      lon: i / 3,
      height: 2 + (i % 7) / 2,
      kind: i % 2 ? "a" : "b",
    }));

    const { fill } = resolve(styled(null), known(rows));

    expect(fill.entry).toMatchObject({ type: "ramp", label: "height" });
    expect(drawn(fill.value, { height: 2 })).toEqual(rgb(AUTO_RAMP[0]));
    expect(drawn(fill.value, { height: 5 })).toEqual(rgb(AUTO_RAMP.at(-1)));
  });

  it("passes over numbers that only count the rows", () => {
    const rows = Array.from({ length: 60 }, (_, i) => ({ number: i, kind: ["x", "y", "z"][i % 3] ?? "" }));

    expect(resolve(styled(null), known(rows)).fill.entry).toMatchObject({ type: "categories", label: "kind" });
  });

  it("gives few texts and truth values a colour each", () => {
    const rows = Array.from({ length: 10 }, (_, i) => ({ is_open: i % 2 === 0 }));

    const { fill } = resolve(styled(null), known(rows));

    expect(fill.entry).toMatchObject({ items: [{ label: "false" }, { label: "true" }] });
    expect(drawn(fill.value, { is_open: true })).toEqual(rgb(AUTO_CLASSES[1]));
    expect(drawn(fill.value, { is_open: false })).toEqual(rgb(AUTO_CLASSES[0]));
  });

  it("keeps the layer's colour where nothing can be told apart", () => {
    for (const rows of [[], [{ a: 1 }], numbers(30, () => 4), [{ name: "a" }, { name: "b" }, { name: "c" }]]) {
      const { fill } = resolve(styled(null), known(rows as Properties[]));
      expect(fill.entry).toEqual({ type: "swatch", color: BASE });
    }
  });

  it("takes colours that the data have", () => {
    const rows = [{ fill: "#ff8000" }, { fill: "#0080ff" }];

    expect(drawn(resolve(styled(null), known(rows)).fill.value, { fill: "#ff8000" })).toEqual([255, 128, 0]);
  });

  it("takes logarithms of numbers that are very unequal", () => {
    const { fill } = resolve(styled(null), known(numbers(100, (i) => 10 ** (i / 19.8))));

    expect(fill.entry).toMatchObject({
      type: "ramp",
      ticks: [{ text: "1" }, { text: "10" }, { text: "1000" }, { text: "100K" }],
    });
    expect(drawn(fill.value, { v: 10 ** 2.5 })).toEqual(rgb(AUTO_RAMP[3]));
  });
});

describe("ranges", () => {
  const rangeOf = (data: LayerData) => data.range("v", "linear")?.domain;

  it("stay while values come that lie near, and grow for those far outside", () => {
    const data = known(numbers(100, (i) => i));
    const first = rangeOf(data);
    data.addTile("0/0/1", tile(numbers(100, (i) => 10 + i)));
    expect(rangeOf(data)).toEqual(first);

    data.addTile("0/0/2", tile(numbers(100, (i) => i * 4)));

    expect(rangeOf(data)?.[0]).toBe(first?.[0]);
    expect(rangeOf(data)?.[1]).toBeGreaterThan(300);
  });

  it("of logarithms stay above 0 when they grow", () => {
    const data = known(numbers(100, (i) => 100 + i));
    expect(data.range("v", "log")?.domain).toEqual([100, 200]);
    data.addTile("0/0/1", tile(numbers(100, (i) => 3 + i * 1000)));

    const [low = 0, high = 0] = data.range("v", "log")?.domain ?? [];
    expect(low).toBe(3);
    expect(high).toBe(100_000);
  });

  it("are those of all tiles of the first view, whichever came first", () => {
    const tiles = [numbers(100, (i) => i), numbers(100, (i) => 20 + i)];
    const ranges = [tiles, [...tiles].reverse()].map((order) => {
      const data = new LayerData();
      for (const [i, rows] of order.entries()) {
        data.addTile(`1/${i}/0`, tile(rows));
        rangeOf(data);
      }
      data.settle();
      return rangeOf(data);
    });

    expect(ranges).toEqual([
      [0, 120],
      [0, 120],
    ]);
  });

  it("do not shrink while the map moves", () => {
    const data = known(numbers(100, (i) => i));
    expect(rangeOf(data)).toEqual([0, 99]);
    expect(data.settle()).toBe(false);
    for (let i = 0; i < 80; i++) data.addTile(`1/${i}/0`, tile(numbers(20, (n) => 40 + n / 10)));

    expect(data.settle()).toBe(false);
    expect(rangeOf(data)).toEqual([0, 99]);
  });

  it("fit anew to other values once all are there", () => {
    const data = known(numbers(100, (i) => i));
    rangeOf(data);
    data.settle();
    data.restart();
    data.addTile("0/0/0", tile(numbers(100, (i) => i / 100)));
    expect(rangeOf(data)).toEqual([0, 99]);

    expect(data.settle()).toBe(true);
    expect(rangeOf(data)).toEqual([0, 0.99]);
  });

  it("keep their colours of categories when others come", () => {
    const data = known([{ k: "b" }, { k: "c" }, { k: "b" }, { k: "c" }]);
    const before = data.classes("k", 10);
    data.addTile("0/0/1", tile([{ k: "a" }, { k: "a" }, { k: "a" }]));

    expect(before).toEqual(["b", "c"]);
    expect(data.classes("k", 10)).toEqual(["b", "c", "a"]);
    expect(data.classes("k", 2)).toEqual(["b", "c", "a"]);
  });
});

describe("ramps", () => {
  const data = known([{ depth: 0 }, { depth: 10 }]);
  const colorOf = (spec: RampColor, depth: number) => drawn(resolve(styled(spec), data).fill.value, { depth });

  it("reach from the first to the last colour over the domain, and no further", () => {
    const spec = ramp({ domain: [0, 10] });

    expect([-5, 0, 5, 10, 99].map((depth) => colorOf(spec, depth))).toEqual([
      [255, 0, 0],
      [255, 0, 0],
      [128, 0, 128],
      [0, 0, 255],
      [0, 0, 255],
    ]);
  });

  it("have a colour for what has no number", () => {
    const { fill } = resolve(styled(ramp({ domain: [0, 1], missing: "#00ff00" })), data);

    expect(drawn(fill.value, {})).toEqual([0, 255, 0]);
    expect(drawn(fill.value, { depth: "deep" })).toEqual([0, 255, 0]);
  });

  it("are cut into steps of equal length", () => {
    const spec = ramp({ domain: [0, 9], steps: 3, colors: ["#ff0000", "#00ff00", "#0000ff"] });

    expect([0, 2.9, 3.1, 5.9, 6.1].map((depth) => colorOf(spec, depth).indexOf(255))).toEqual([0, 0, 1, 1, 2]);
  });

  it("follow breaks, domains of several values, and logarithms", () => {
    const three = ["#ff0000", "#00ff00", "#0000ff"];
    expect(colorOf(ramp({ breaks: [1, 100], colors: three }), 50)).toEqual([0, 255, 0]);
    expect(colorOf(ramp({ domain: [0, 1, 10], colors: three }), 1)).toEqual([0, 255, 0]);
    expect(colorOf(ramp({ domain: [1, 100], colors: three, scale: "log" }), 10)).toEqual([0, 255, 0]);
  });

  it("give equal shares of the values a colour each", () => {
    const skewed = known([1, 2, 3, 4, 1000].map((depth) => ({ depth })));
    const spec = ramp({ scale: "quantile", colors: ["#ff0000", "#00ff00", "#0000ff"] });

    expect(drawn(resolve(styled(spec), skewed).fill.value, { depth: 3 })).toEqual([0, 255, 0]);
  });

  it("say in the legend where values lie outside", () => {
    const outliers = known([{ v: -1e6 }, ...numbers(200, (i) => i), { v: 1e6 }]);
    const { entry } = resolve(styled(ramp({ column: "v" })), outliers).fill;

    const texts = entry.type === "ramp" ? entry.ticks.map(({ text }) => text) : [];
    expect([texts[0]?.[0], texts.at(-1)?.[0]]).toEqual(["≤", "≥"]);
    expect(texts.slice(1, -1)).toEqual(["50", "100"]);
  });

  it("leave it to the data where an optional column is missing", () => {
    const spec = styled(null, { line: ramp({ column: "value", is_optional: true }), filled: false });
    const look = resolve(spec, known(numbers(9, (i) => i)));

    expect(look.fill.entry).toMatchObject({ label: "v" });
    expect(paintOf(look, "fill", 1)["fill-opacity"]).toBeGreaterThan(0);
  });

  it("wait in the layer's colour for the first data", () => {
    expect(drawn(resolve(styled(ramp()), new LayerData()).fill.value, {})).toEqual(rgb(BASE));
  });
});

describe("categories", () => {
  it("are met by number, text and truth value", () => {
    const values = [
      { value: 3, color: "#ff0000", label: "three" },
      { value: "x", color: "#00ff00", label: "x" },
      { value: true, color: "#0000ff", label: "yes" },
    ];
    const common = { colors: [], other: "#010203", missing: "#040506", label: "", is_optional: false };
    const spec = styled({ kind: "categories", column: "k", values, ...common });
    const { fill } = resolve(spec, known([{ k: 3 }, { k: "y" }]));

    expect([3, "x", true, "none"].map((k) => drawn(fill.value, { k }))).toEqual([
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [1, 2, 3],
    ]);
    expect(drawn(fill.value, {})).toEqual([4, 5, 6]);
    expect(fill.entry).toMatchObject({ items: [{ label: "three" }, {}, {}, { label: "other", color: "#010203" }] });
  });
});

describe("paint", () => {
  it("is understood by MapLibre, whatever the style", () => {
    const rows = [
      { depth: 1, k: "a" },
      { depth: 9, k: "b" },
      { depth: 3, k: "a" },
      { depth: 4, k: "b" },
    ];
    const size = { kind: "scaled" as const, column: "depth", range: [2, 9] as [number, number], domain: null };
    const styles = [
      automatic(BASE),
      styled(ramp()),
      styled({ kind: "constant", color: "#ff000080" }, { stroked: false, radius: { ...size, scale: "linear" } }),
      styled(null, { line: ramp({ scale: "log" }), filled: false, line_width: { ...size, scale: "log" } }),
      styled({ kind: "expression", value: ["to-color", ["get", "k"]] }),
    ];

    for (const style of styles)
      for (const type of ["fill", "line", "circle", "raster"])
        for (const [property, value] of Object.entries(paintOf(resolve(style, known(rows)), type, 0.5))) {
          const specifications = latest[`paint_${type}` as "paint_fill"] as Record<string, unknown>;
          const specification = specifications[property] as StylePropertySpecification;
          expect(specification, property).toBeDefined();
          if (!Array.isArray(value)) continue;
          const { result, value: problem } = createPropertyExpression(value, property, specification);
          expect(result, `${property} ${JSON.stringify(problem)}`).toBe("success");
        }
  });

  it("is faded by the layer's opacity, and by the style's", () => {
    const look = resolve(styled({ kind: "constant", color: BASE }, { opacity: 0.5 }), known([]));

    expect(paintOf(look, "fill", 0.5)["fill-opacity"]).toBeCloseTo(0.1);
    expect(
      paintOf({ ...look, spec: { ...look.spec, paint: { fill: { "fill-opacity": 1 } } } }, "fill", 0.5),
    ).toMatchObject({ "fill-opacity": 0.25 });
  });

  it("fades what follows the zoom at its outputs", () => {
    const byZoom = ["interpolate", ["linear"], ["zoom"], 3, 0.2, 9, ["get", "o"]];
    const look = resolve(styled(null, { paint: { fill: { "fill-opacity": byZoom } } }), known([]));

    expect(paintOf(look, "fill", 0.5)["fill-opacity"]).toEqual([
      "interpolate",
      ["linear"],
      ["zoom"],
      3,
      0.1,
      9,
      ["*", 0.5, ["get", "o"]],
    ]);
  });

  it("is that of one colour when the panel says so", () => {
    const style = recolored(styled(ramp(), { hexagons: { column: "hex", style: styled(ramp()) } }), "#123456");

    expect(resolve(style, known([{ depth: 1 }])).fill.value).toBe("#123456");
    expect(resolve(style, known([{ hex: "8a", depth: 1 }])).fill.value).toBe("#123456");
  });

  it("of hexagons is another one", () => {
    const style = styled(
      { kind: "constant", color: "#111111" },
      { hexagons: { column: "hex", style: styled(ramp()) } },
    );

    expect(resolve(style, known([{ hex: "8a", depth: 1 }])).fill.isByData).toBe(true);
    expect(resolve(style, known([{ depth: 1 }])).fill.value).toBe("#111111");
  });
});

function rgb(hexadecimal = ""): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(hexadecimal.slice(at, at + 2), 16));
}
