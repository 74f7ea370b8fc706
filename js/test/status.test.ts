import { describe, expect, it, vi } from "vitest";
import type { TileFailure } from "../src/protocol";
import { failureText, readError, StatusLine, statusText } from "../src/view/status";

const KEY_ERROR: TileFailure = { layer: "q", tile: "0/0/0", status: 422, error: "KeyError: 'mag'", line: 5 };

describe("readError", () => {
  it("takes the error and the line of our JSON", () => {
    const body = JSON.stringify({ error: "KeyError: 'mag'", type: "UdfRuntimeError", line: 5, udf: "quakes" });
    expect(readError(422, "", body)).toEqual({ error: "KeyError: 'mag'", line: 5 });
  });

  it.each([
    [502, "Bad Gateway", "<html>", "HTTP 502 Bad Gateway"],
    [500, "", '{"message": "not ours"}', "HTTP 500"],
    [500, "", "null", "HTTP 500"],
    [0, "", "", "the server asked this page to log in"],
  ])("says the status %i where the body is not ours", (status, statusText, body, error) => {
    expect(readError(status, statusText, body)).toEqual({ error, line: null });
  });
});

describe("failureText", () => {
  it("counts", () => {
    expect(failureText([])).toBe("");
    expect(failureText([KEY_ERROR])).toBe("1 tile failed: KeyError: 'mag' (line 5)");
    expect(failureText([KEY_ERROR, KEY_ERROR])).toBe("2 tiles failed: KeyError: 'mag' (line 5)");
  });

  it("shows the most frequent error", () => {
    const other = { ...KEY_ERROR, error: "timeout", line: null };
    expect(failureText([other, KEY_ERROR, KEY_ERROR])).toBe(
      "3 tiles failed: KeyError: 'mag' (line 5) and 1 other error",
    );
  });
});

describe("statusText", () => {
  const status = { transport: "HTTP via /x/", loading: 0, idle: true, failures: [], note: "", offline: false };

  it("says what the map does and how", () => {
    expect(statusText(status)).toBe("idle · HTTP via /x/");
    expect(statusText({ ...status, idle: false, loading: 2 })).toBe("loading 2 tiles · HTTP via /x/");
    expect(statusText({ ...status, note: "basemap: gone", failures: [KEY_ERROR] })).toBe(
      "1 tile failed: KeyError: 'mag' (line 5) · basemap: gone · idle · HTTP via /x/",
    );
  });
});

describe("statusText of tiles", () => {
  const status = { transport: "HTTP", loading: 3, idle: false, failures: [], note: "", offline: false };
  const progress = { wanted: 20, done: 12, cached: 0, started: 1000, took: null };

  it("counts them and the seconds, and at the end those that cost no run", () => {
    expect(statusText({ ...status, progress }, 1800)).toBe("12/20 tiles · 0.8 s · HTTP");
    const done = { ...status, loading: 0, idle: true, progress: { ...progress, done: 20, cached: 12, took: 1400 } };
    expect(statusText(done, 9000)).toBe("20 tiles in 1.4 s · 12 cached · idle · HTTP");
    expect(statusText({ ...done, progress: { ...done.progress, wanted: 1, cached: 0 } }, 9000)).toBe(
      "1 tile in 1.4 s · idle · HTTP",
    );
  });
});

describe("StatusLine", () => {
  it("lets the time run while tiles are under way, and tells screen readers only what is new", () => {
    vi.useFakeTimers();
    const host = document.createElement("div");
    const line = new StatusLine(host, () => {});
    const progress = { wanted: 4, done: 1, cached: 0, started: performance.now(), took: null };
    line.update({ loading: 3, transport: "HTTP", progress });
    vi.advanceTimersByTime(1000);
    expect(host.querySelector("span")?.textContent).toBe("1/4 tiles · 1.0 s · HTTP");
    expect(host.querySelector<HTMLElement>(".fused-progress")?.style.width).toBe("25%");
    expect(host.querySelector("[aria-live]")?.textContent).toBe("HTTP");

    line.update({ loading: 0, idle: true, progress: { ...progress, done: 4, took: 1000 } });

    expect(host.querySelector("span")?.textContent).toBe("4 tiles in 1.0 s · idle · HTTP");
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it("sets the flags that tests wait for, and offers a retry only after a failure", () => {
    const host = document.createElement("div");
    const retry = vi.fn();
    const line = new StatusLine(host, retry);
    const button = host.querySelector("button");
    expect({ ...host.dataset }).toMatchObject({ idle: "false", failed: "0" });
    expect(button?.hidden).toBe(true);

    line.update({ idle: true, transport: "HTTP via /x/", failures: [KEY_ERROR] });
    button?.click();

    expect({ ...host.dataset }).toEqual({ idle: "true", transport: "HTTP via /x/", failed: "1" });
    expect(host.querySelector("[aria-live=polite]")?.textContent).toContain("1 tile failed: KeyError: 'mag' (line 5)");
    expect(retry).toHaveBeenCalledOnce();
  });
});
