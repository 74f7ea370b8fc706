import { beforeEach, describe, expect, it, vi } from "vitest";
import type { TileSpec } from "../src/protocol";
import { KindFinder } from "../src/tiles/kinds";

const SPEC = { name: "q", udf: "q", version: "1", min_zoom: 0, max_zoom: 22 } as TileSpec;

function tile(mediaType: string): Response {
  return new Response("bytes", { headers: { "Content-Type": mediaType } });
}

describe("KindFinder", () => {
  const fetches = vi.fn<(url: string, init?: RequestInit) => Promise<Response>>();
  const fail = vi.fn(async () => {});
  const learned = vi.fn();
  let kinds: KindFinder;

  beforeEach(() => {
    for (const mock of [fetches, fail, learned]) mock.mockReset();
    kinds = new KindFinder(
      { fetch: fetches },
      { fail },
      () => ({ z: 3, x: 1, y: 2 }),
      () => {},
    );
  });

  it("asks for the tile in the middle, once for a version", async () => {
    fetches.mockImplementation(async () => tile("image/png"));

    await kinds.ask(SPEC, "u/{z}/{x}/{y}?a", learned);
    await kinds.ask(SPEC, "u/{z}/{x}/{y}?b", learned);

    expect(kinds.known(SPEC)).toBe("raster");
    expect(fetches.mock.calls.map(([url]) => url)).toEqual(["u/3/1/2?a"]);
    expect(learned).toHaveBeenCalledOnce();
  });

  it("asks for the whole world where the middle is empty", async () => {
    fetches.mockResolvedValueOnce(new Response(null, { status: 204 }));
    fetches.mockResolvedValueOnce(tile("application/vnd.mapbox-vector-tile"));

    await kinds.ask(SPEC, "u/{z}/{x}/{y}", learned);

    expect(kinds.known(SPEC)).toBe("vector");
    expect(fetches.mock.calls.map(([url]) => url)).toEqual(["u/3/1/2", "u/0/0/0"]);
  });

  it("keeps the old kind while it asks about new code", async () => {
    fetches.mockResolvedValueOnce(tile("image/png")).mockResolvedValueOnce(tile("text/plain"));
    await kinds.ask(SPEC, "u/{z}/{x}/{y}", learned);
    const edited = { ...SPEC, version: "2" };

    const asking = kinds.ask(edited, "u/{z}/{x}/{y}?v=2", learned);
    expect(kinds.known(edited)).toBe("raster");
    expect(kinds.isBusy).toBe(true);
    await asking;

    expect(kinds.known(edited)).toBe("vector");
    expect(kinds.isBusy).toBe(false);
  });

  it("reports a failure, and asks again only when something changed or was told to", async () => {
    fetches.mockImplementation(async () => new Response("", { status: 422 }));

    await kinds.ask(SPEC, "u?a=1", learned);
    await kinds.ask(SPEC, "u?a=1", learned);
    expect(fetches).toHaveBeenCalledTimes(1);
    await kinds.ask(SPEC, "u?a=2", learned);
    expect(fetches).toHaveBeenCalledTimes(2);
    kinds.forgetFailures();
    await kinds.ask(SPEC, "u?a=2", learned);

    expect(fetches).toHaveBeenCalledTimes(3);
    expect(fail).toHaveBeenCalledTimes(3);
    expect(learned).not.toHaveBeenCalled();
  });
});
