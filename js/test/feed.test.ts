import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TileFeed } from "../src/tiles/feed";
import { deferred } from "./stub";

const ID = { z: 1, x: 0, y: 1 };
const live = () => new AbortController().signal;

function text(bytes: ArrayBuffer): string {
  return new TextDecoder().decode(bytes);
}

describe("TileFeed", () => {
  const fetches = vi.fn<(url: string, init?: RequestInit) => Promise<Response>>();
  const retry = vi.fn();
  let feed: TileFeed;

  beforeEach(() => {
    fetches.mockReset();
    retry.mockReset();
    vi.useFakeTimers();
    feed = new TileFeed({ fetch: fetches }, { changed: () => {}, retry });
    feed.point("q", "u/{z}/{x}/{y}?v=1");
  });
  afterEach(() => vi.useRealTimers());

  it("gives the bytes", async () => {
    fetches.mockResolvedValue(new Response("tile"));

    const loading = feed.load("q", ID, live());
    expect(feed.loading).toBe(1);

    expect(text(await loading)).toBe("tile");
    expect(fetches.mock.calls[0]?.[0]).toBe("u/1/0/1?v=1");
    expect(feed.loading).toBe(0);
  });

  it("makes an empty tile and a note of a failure, whatever the status", async () => {
    fetches.mockImplementation(async () => new Response('{"error": "no UDF", "line": null}', { status: 404 }));

    const bytes = await feed.load("q", ID, live());

    expect(bytes.byteLength).toBe(0);
    expect(feed.failures).toEqual([{ layer: "q", tile: "1/0/1", status: 404, error: "no UDF", line: null }]);
  });

  it("notes a network failure with status 0", async () => {
    fetches.mockRejectedValue(new TypeError("Failed to fetch"));

    await feed.load("q", ID, live());

    expect(feed.failures[0]).toMatchObject({ status: 0, error: "Failed to fetch" });
  });

  it("forgets failures when the layer points elsewhere, and when the tile comes", async () => {
    fetches
      .mockResolvedValueOnce(new Response("", { status: 500 }))
      .mockImplementation(async () => new Response("tile"));
    await feed.load("q", ID, live());

    expect(feed.point("q", "u/{z}/{x}/{y}?v=1")).toBe(false);
    expect(feed.failures).toHaveLength(1);
    expect(feed.point("q", "u/{z}/{x}/{y}?v=2")).toBe(true);
    expect(feed.failures).toHaveLength(0);
  });

  it("gives a tile under way its newest content", async () => {
    const old = deferred<Response>();
    fetches.mockReturnValueOnce(old.promise).mockResolvedValueOnce(new Response("new"));

    const loading = feed.load("q", ID, live());
    feed.point("q", "u/{z}/{x}/{y}?v=2");
    old.resolve(new Response("old"));

    expect(text(await loading)).toBe("new");
    expect(fetches.mock.calls.map(([url]) => url)).toEqual(["u/1/0/1?v=1", "u/1/0/1?v=2"]);
    expect(fetches.mock.calls[0]?.[1]?.signal?.aborted).toBe(true);
  });

  it("asks once for one tile wanted twice, and gives each its own bytes", async () => {
    fetches.mockResolvedValue(new Response("tile"));

    const [first, second] = await Promise.all([feed.load("q", ID, live()), feed.load("q", ID, live())]);

    expect(fetches).toHaveBeenCalledTimes(1);
    expect(first).not.toBe(second);
    expect(text(second)).toBe("tile");
  });

  it("aborts the request when nobody wants the tile any more, without a failure", async () => {
    fetches.mockReturnValue(new Promise(() => {}));
    const [one, other] = [new AbortController(), new AbortController()];
    const loading = [feed.load("q", ID, one.signal), feed.load("q", ID, other.signal)].map((load) =>
      load.catch(() => "gone"),
    );

    one.abort();
    expect(fetches.mock.calls[0]?.[1]?.signal?.aborted).toBe(false);
    other.abort();

    expect(await Promise.all(loading)).toEqual(["gone", "gone"]);
    expect(fetches.mock.calls[0]?.[1]?.signal?.aborted).toBe(true);
    expect(feed.failures).toEqual([]);
  });

  it("asks again after Retry-After, a bounded number of times", async () => {
    fetches.mockImplementation(async () => new Response("", { status: 503, headers: { "Retry-After": "2" } }));
    retry.mockImplementation((layer) => feed.load(layer, ID, live()));
    await feed.load("q", ID, live());

    await vi.advanceTimersByTimeAsync(1900);
    expect(retry).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    expect(retry).toHaveBeenCalledExactlyOnceWith("q", [ID]);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(retry).toHaveBeenCalledTimes(5);
  });

  it("asks for failed tiles alone when the user retries", async () => {
    fetches.mockResolvedValueOnce(new Response("tile")).mockResolvedValueOnce(new Response("", { status: 500 }));
    await feed.load("q", { z: 0, x: 0, y: 0 }, live());
    await feed.load("q", ID, live());

    feed.retryAll();

    expect(retry).toHaveBeenCalledExactlyOnceWith("q", [ID]);
    expect(feed.failures).toEqual([]);
  });

  it("counts what is wanted, what is there and what was kept, and starts anew with new values", async () => {
    const answers = [deferred<Response>(), deferred<Response>()];
    fetches.mockReturnValueOnce((answers[0] as (typeof answers)[0]).promise);
    fetches.mockReturnValueOnce((answers[1] as (typeof answers)[0]).promise);
    const first = feed.load("q", ID, live());
    const second = feed.load("q", { ...ID, x: 1 }, live());
    expect(feed.progress).toMatchObject({ wanted: 2, done: 0, took: null });
    expect(feed.hasAnswered).toBe(false);

    answers[0]?.resolve(new Response("a", { headers: { "x-fused-cached": "1" } }));
    await first;
    expect(feed.progress).toMatchObject({ wanted: 2, done: 1, cached: 1, took: null });
    expect(feed.hasAnswered).toBe(true);

    fetches.mockImplementation(async () => new Response("b"));
    feed.point("q", "u/{z}/{x}/{y}?v=2");
    expect(feed.progress).toMatchObject({ wanted: 1, done: 0, cached: 0, took: null });
    expect(feed.hasAnswered).toBe(false);
    await second;
    expect(feed.progress).toMatchObject({ wanted: 1, done: 1, cached: 0 });
    expect(feed.progress.took).not.toBeNull();
  });

  it("forgets tiles that nobody wants any more", async () => {
    fetches.mockImplementation(() => new Promise(() => {}));
    const abort = new AbortController();
    const loading = feed.load("q", ID, abort.signal);

    abort.abort();

    await expect(loading).rejects.toThrow();
    expect(feed.progress).toMatchObject({ wanted: 0, done: 0 });
    expect(feed.progress.took).not.toBeNull();
  });

  it("takes a tile that was fetched ahead, and neither counts nor notes it before", async () => {
    fetches.mockImplementation(async () => new Response("tile"));
    const held = feed.hold(["u/1/0/1?v=2"]);
    await held.ready;
    expect([feed.loading, feed.progress.wanted, fetches.mock.calls.length]).toEqual([0, 0, 1]);

    feed.point("q", "u/{z}/{x}/{y}?v=2");
    expect(text(await feed.load("q", ID, live()))).toBe("tile");
    expect(fetches.mock.calls.length).toBe(1);

    held.release();
    await feed.load("q", ID, live());
    expect(fetches.mock.calls.length).toBe(2);
  });

  it("stops what it fetches ahead when that is let go, unless somebody waits for it", async () => {
    const signals: AbortSignal[] = [];
    fetches.mockImplementation((_, init) => {
      signals.push(init?.signal as AbortSignal);
      return new Promise(() => {});
    });
    const held = feed.hold(["u/1/0/1?v=1", "u/1/1/1?v=1"]);
    void feed.load("q", ID, live());

    held.release();
    held.release();

    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
  });

  it("is quiet about what fails ahead", async () => {
    fetches.mockRejectedValue(new TypeError("Failed to fetch"));

    await feed.hold(["u/1/0/1?v=2"]).ready;

    expect(feed.failures).toEqual([]);
  });
});
