import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Bundle, loadBundle } from "../src/link/bundle";
import type { Server } from "../src/link/server";
import { StubModel } from "./stub";

const BUNDLE: Bundle = { mount: vi.fn() };

function server(respond: () => Response): Server {
  return { root: "https://h/x/", fetch: vi.fn(async () => respond()) } as unknown as Server;
}

describe("loadBundle", () => {
  const importer = vi.fn(async () => BUNDLE);

  beforeEach(() => {
    globalThis.__fusedMaps = undefined;
    importer.mockClear();
    vi.useFakeTimers();
  });
  afterEach(() => vi.useRealTimers());

  it("loads once for a page and version, by hash", async () => {
    const found = server(() => new Response("code"));

    const [first, second] = await Promise.all([
      loadBundle("h1", new StubModel(), found, importer),
      loadBundle("h1", new StubModel(), found, importer),
    ]);
    await loadBundle("h2", new StubModel(), found, importer);

    expect(first).toBe(second);
    expect(vi.mocked(found.fetch).mock.calls).toEqual([
      ["https://h/x/fused/static/map.js?v=h1"],
      ["https://h/x/fused/static/map.js?v=h2"],
    ]);
    expect(importer).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["another version on the server", server(() => new Response("", { status: 404 }))],
    ["no server", null],
  ])("asks the kernel: %s", async (_reason, found) => {
    const model = new StubModel();
    const loading = loadBundle("h1", model, found, importer);
    await vi.waitFor(() => expect(model.sent).toEqual([{ kind: "bundle" }]));

    model.emit("msg:custom", { kind: "fit" }, []);
    model.emit("msg:custom", { kind: "bundle" }, [new DataView(new ArrayBuffer(4))]);

    expect(await loading).toBe(BUNDLE);
    expect(model.listeners("msg:custom")).toBe(0);
  });

  it("forgets a failure, so that the next widget tries again", async () => {
    const failing = loadBundle("h1", new StubModel(), null, importer);
    const refusal = expect(failing).rejects.toThrow("run the cell again");
    await vi.advanceTimersByTimeAsync(30_000);
    await refusal;

    await expect(
      loadBundle(
        "h1",
        new StubModel(),
        server(() => new Response("code")),
        importer,
      ),
    ).resolves.toBe(BUNDLE);
  });
});
