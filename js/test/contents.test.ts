import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchWorld } from "../src/layers/basemap";
import { Contents } from "../src/layers/contents";
import { cornersOf } from "../src/layers/held";
import { readWorld } from "../src/layers/world";
import { StubModel } from "./stub";

const BYTES = new Uint8Array([9, 1, 2, 3, 9]);
const BUFFER = new DataView(BYTES.buffer, 1, 3);

describe("Contents", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function asked() {
    const model = new StubModel();
    const end = new AbortController();
    const contents = new Contents(model, end.signal);
    return { model, end, contents, answer: contents.ask("d1") };
  }

  it("asks once, and gives the bytes of the buffer's own part", async () => {
    const { model, contents, answer } = asked();
    expect(contents.isBusy).toBe(true);
    model.emit("msg:custom", { kind: "data", data: "other" }, [BUFFER]);
    model.emit("msg:custom", { kind: "data", data: "d1" }, [BUFFER]);
    expect([...new Uint8Array((await answer) as ArrayBuffer)]).toEqual([1, 2, 3]);
    expect(model.sent).toEqual([{ kind: "data", data: "d1" }]);
    expect(contents.isBusy).toBe(false);
  });

  it("gives everybody who asked the same bytes", async () => {
    const { model, contents, answer } = asked();
    const second = contents.ask("d1");
    model.emit("msg:custom", { kind: "data", data: "d1" }, [BUFFER]);
    expect((await answer)?.byteLength).toBe(3);
    expect((await second)?.byteLength).toBe(3);
    expect(model.sent).toHaveLength(1);
  });

  it("hears that there is none", async () => {
    const { model, answer } = asked();
    model.emit("msg:custom", { kind: "data", data: "d1" }, []);
    expect(await answer).toBeNull();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks again when nobody answers, and gives up in the end", async () => {
    const { model, answer } = asked();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(model.sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await answer).toBeNull();
    expect(model.sent).toHaveLength(3);
  });

  it("ends with the view", async () => {
    const { model, end, answer } = asked();
    end.abort();
    expect(await answer).toBeNull();
    expect(model.listeners("msg:custom")).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("fetchWorld", () => {
  const server = (status: number) => ({ root: "/x/", fetch: async () => new Response("from server", { status }) });
  const kernel = async () => new TextEncoder().encode("from kernel").buffer as ArrayBuffer;

  it("asks the server first", async () => {
    expect(await fetchWorld(server(200), kernel)).toBe("from server");
  });

  it.each([null, server(404)])("asks the kernel where the server has none", async (each) => {
    expect(await fetchWorld(each, kernel)).toBe("from kernel");
  });

  it("says so where nobody has it", async () => {
    await expect(fetchWorld(null, async () => null)).rejects.toThrow("neither server nor kernel");
  });
});

describe("readWorld", () => {
  it("adds up the steps, and ends where Mercator ends", () => {
    const text = JSON.stringify({ unit: 10, land: [[[0, 0, 10, 0, 0, 900, -10, -900]]], borders: [[5, 5, -10, 10]] });
    const { land, borders } = readWorld(text);
    expect(land.coordinates).toEqual([
      [
        [
          [0, 0],
          [1, 0],
          [1, 85.06],
          [0, 0],
        ],
      ],
    ]);
    expect(borders.coordinates[0]).toEqual([
      [0.5, 0.5],
      [-0.5, 1.5],
    ]);
  });
});

describe("cornersOf", () => {
  it("goes on beyond 180 degrees across the antimeridian", () => {
    expect(cornersOf([170, -10, -170, 10])).toEqual([
      [170, 10],
      [190, 10],
      [190, -10],
      [170, -10],
    ]);
  });
});
