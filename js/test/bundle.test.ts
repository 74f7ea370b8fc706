import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Bundle, loadBundle } from "../src/link/bundle";

const BUNDLE: Bundle = { mount: vi.fn() };

function source(respond: () => Response) {
  return { root: "https://h/x/", fetch: vi.fn(async (_url: string) => respond()) };
}

function refusal(status: number, error: string): Response {
  return new Response(JSON.stringify({ error }), { status });
}

describe("loadBundle", () => {
  const importer = vi.fn(async () => BUNDLE);

  beforeEach(() => {
    globalThis.__fusedMaps = undefined;
    importer.mockClear();
  });

  it("loads once for a page and version, by hash", async () => {
    const server = source(() => new Response("code"));

    const [first, second] = await Promise.all([
      loadBundle("h1", [server], importer),
      loadBundle("h1", [server], importer),
    ]);
    await loadBundle("h2", [server], importer);

    expect(first).toBe(second);
    expect(server.fetch.mock.calls).toEqual([
      ["https://h/x/fused/static/map.js?v=h1"],
      ["https://h/x/fused/static/map.js?v=h2"],
    ]);
    expect(importer).toHaveBeenCalledTimes(2);
  });

  it("asks the kernel where the server has another version", async () => {
    const server = source(() => refusal(404, "another version"));
    const kernel = source(() => new Response("code"));

    expect(await loadBundle("h1", [server, kernel], importer)).toBe(BUNDLE);

    expect(kernel.fetch).toHaveBeenCalledTimes(1);
  });

  it("does not ask the kernel for what the server has", async () => {
    const kernel = source(() => new Response("code"));

    await loadBundle("h1", [source(() => new Response("code")), kernel], importer);

    expect(kernel.fetch).not.toHaveBeenCalled();
  });

  it("says why nobody gave it, and lets the next widget try again", async () => {
    const server = source(() => new Response("<html>", { status: 502 }));
    const kernel = source(() => refusal(503, "the kernel is gone"));

    await expect(loadBundle("h1", [server, kernel], importer)).rejects.toThrow("HTTP 502; the kernel is gone");

    await expect(loadBundle("h1", [source(() => new Response("code"))], importer)).resolves.toBe(BUNDLE);
  });
});
