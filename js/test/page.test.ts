import { describe, expect, it } from "vitest";
import { localAddress } from "../src/layers/local";
import { readParams, readPlace, writeParams, writePlace } from "../src/page/address";
import { PlainModel } from "../src/page/model";
import { bytesOf, RoutedServer, StoredServer } from "../src/page/servers";
import { stateOf, type UdfInfo } from "../src/page/udf";
import type { ControlSpec } from "../src/protocol";

const CONTROLS = [
  control({ name: "min_mag", kind: "slider", type: "float", value: 4, min: 0, max: 8, step: 0.05 }),
  control({ name: "year", kind: "number", type: "int", value: 2024 }),
  control({ name: "deep", kind: "checkbox", type: "bool", value: false }),
  control({ name: "place", kind: "text", type: "str", value: "Zürich" }),
];
const UDF: UdfInfo = {
  name: "quakes",
  schema: {
    properties: {
      bounds: { default: null },
      min_mag: { default: 4.0 },
      year: { default: 2024 },
      deep: { default: false },
      place: { default: "Zürich" },
    },
  },
  controls: CONTROLS,
  spatial: "bounds",
  zooms: [0, 22],
  view: [0, 0, 1],
  formats: ["png", "mvt"],
};
function control(given: Pick<ControlSpec, "name" | "kind" | "type" | "value"> & Partial<ControlSpec>): ControlSpec {
  return { label: "", optional: false, min: null, max: null, step: null, options: null, play: null, ...given };
}

describe("the state of a UDF's map", () => {
  it("sets what controls show where the UDF would begin with something else", () => {
    const own = control({ name: "year", kind: "slider", type: "int", value: 2000, min: 1990, max: 2000 });
    expect(stateOf(UDF).params).toEqual({});
    expect(stateOf({ ...UDF, controls: [own] }).params).toEqual({ year: 2000 });
  });

  it("begins where the UDF says, else with the bounds that are its default", () => {
    const inView = stateOf({ ...UDF, view: [8.5, 47.4, 11] });
    const schema = { properties: { bounds: { default: [5, 45, 11, 48] } } };
    expect([inView.center, inView.zoom]).toEqual([[8.5, 47.4], 10]);
    expect(stateOf({ ...UDF, schema }).bounds).toEqual([5, 45, 11, 48]);
  });

  it("asks for nothing that a token rules out", () => {
    const kinds = [["png"], ["mvt"], ["png", "mvt"]].map((formats) => stateOf({ ...UDF, formats }).layers);
    expect(kinds.map((layers) => (layers as { kind: string }[])[0]?.kind)).toEqual(["raster", "vector", "auto"]);
  });
});

describe("the page's address", () => {
  it("gives back the values that went into it, with their types", () => {
    const params = { min_mag: 5.5, deep: true, place: "a&b=c", year: 1999 };
    expect(readParams(writeParams(params, CONTROLS), CONTROLS)).toEqual(params);
  });

  it("leaves out what is as it began, and what is none of the UDF's", () => {
    expect(writeParams({ min_mag: 4, deep: false }, CONTROLS)).toBe("");
    expect(readParams("?token=secret&kernel=k&place=x", CONTROLS)).toEqual({ place: "x" });
  });

  it("says where the map looks", () => {
    const place = { zoom: 5.25, latitude: 37.774, longitude: -122.419 };
    expect(writePlace(place)).toBe("#5.25/37.774/-122.419");
    expect(readPlace(writePlace(place))).toEqual(place);
    expect(["", "#here", "#1/2", "#1//3", "#5/91/0"].map(readPlace)).toEqual([null, null, null, null, null]);
  });
});

describe("a page's servers", () => {
  const routes = { quakes: { file: "https://a/fused/fsh_x/run/file", tiles: "https://a/fused/fsh_x/run/tiles" } };
  const server = new RoutedServer("https://a/", routes, async () => new Response(null), "https://a/fused/pages/1");

  it("ask at the addresses of a token, and tell it nothing of a kernel", () => {
    const tile = "https://a/fused/run/tiles/quakes/3/1/2.png?n=1&kernel=k&v=ab";
    expect(server.addressOf(tile)).toBe("https://a/fused/fsh_x/run/tiles/3/1/2.png?n=1");
    expect(server.addressOf("https://a/fused/run/file/quakes.geojson?v=")).toBe(
      "https://a/fused/fsh_x/run/file.geojson",
    );
    expect(server.addressOf("https://a/fused/static/world.json?v=1")).toBe("https://a/fused/pages/1/world.json");
  });

  it("ask nobody for anything else", async () => {
    const others = [
      "https://a/fused/run/tiles/other/3/1/2.png",
      "https://a/api/kernels",
      "https://b/fused/run/file/quakes",
    ];
    expect(others.map((url) => server.addressOf(url))).toEqual([null, null, null]);
    expect((await server.fetch("https://a/api/kernels")).status).toBe(404);
  });

  it("answer from the page, whatever the values are", async () => {
    const stored = { status: 200, headers: { "content-type": "image/png" }, body: 0 };
    const page = new StoredServer({ "fused/run/tiles/0/1/0/0.png": stored }, () => bytesOf(btoa("pixels")));
    const answer = await page.fetch(`${page.root}fused/run/tiles/0/1/0/0.png?n=5`);
    const beyond = await page.fetch(`${page.root}fused/run/tiles/0/1/1/0.png`);
    expect([await answer.text(), answer.headers.get("content-type")]).toEqual(["pixels", "image/png"]);
    expect(beyond.status).toBe(204);
  });
});

describe("a model without a kernel", () => {
  it("answers layers that ask for their data, also that there is none, and nobody else", async () => {
    const model = new PlainModel({}, (digest) => (digest === "d1" ? bytesOf(btoa("data")) : null));
    const heard: unknown[] = [];
    model.on("msg:custom", (content, buffers) => heard.push([content.data, buffers[0]?.byteLength ?? null]));
    for (const content of [{ kind: "data", data: "d1" }, { kind: "data", data: "d2" }, { kind: "request" }]) {
      model.send(content);
    }
    await Promise.resolve();
    expect(heard).toEqual([
      ["d1", 4],
      ["d2", null],
    ]);
  });

  it("tells of changes only", () => {
    const model = new PlainModel({ params: { n: 1 } });
    let told = 0;
    model.on("change:params", () => told++);
    model.set("params", { n: 1 });
    model.set("params", { n: 2 });
    expect(told).toBe(1);
  });
});

describe("addresses of data in a page", () => {
  it("hold the data where a page has no origin", async () => {
    const bytes = new Uint8Array(40_000).map((_, i) => i % 251).buffer;
    const address = localAddress(bytes, "application/geo+json", false);
    expect(address.startsWith("data:application/geo+json;base64,")).toBe(true);
    expect(new Uint8Array(bytesOf(address.split(",")[1] ?? ""))).toEqual(new Uint8Array(bytes));
  });
});
