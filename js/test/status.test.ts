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

describe("StatusLine", () => {
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
