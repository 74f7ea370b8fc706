import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { neighbour, Player } from "../src/panel/player";
import type { ControlSpec } from "../src/protocol";
import { deferred, StubModel } from "./stub";
import { hostOf, type StubMap, viewOf } from "./view";

const YEAR: ControlSpec = {
  name: "year",
  kind: "slider",
  type: "int",
  value: 2000,
  label: "",
  optional: false,
  min: 2000,
  max: 2003,
  step: 1,
  options: null,
  play: { seconds: 1, loop: true },
};

describe("neighbour", () => {
  it.each<[Partial<ControlSpec>, unknown, 1 | -1, boolean, unknown]>([
    [{}, 2000, 1, false, 2001],
    [{}, 2003, 1, true, 2000],
    [{}, 2003, 1, false, undefined],
    [{}, 2000, -1, true, 2003],
    [{ type: "float", min: 0, max: 1, step: 0.1 }, 0.2, 1, false, 0.3],
    [{ kind: "date", type: "date", step: null }, "2024-02-28", 1, false, "2024-02-29"],
    [{ kind: "date", type: "datetime", step: null }, "2024-03-31T01:30", 1, false, "2024-04-01T01:30"],
    [{ kind: "date", type: "date" }, "", 1, false, undefined],
  ])("of %j after %s (%i, loop %s) is %s", (change, value, direction, loop, expected) => {
    expect(neighbour({ ...YEAR, ...change }, value, direction, loop)).toBe(expected);
  });

  it("goes along the options", () => {
    const steps: ControlSpec = {
      ...YEAR,
      kind: "steps",
      options: [
        ["a", 1],
        ["b", 5],
      ],
    };
    expect([neighbour(steps, 1, 1, false), neighbour(steps, 5, 1, false), neighbour(steps, 5, 1, true)]).toEqual([
      5,
      undefined,
      1,
    ]);
  });
});

describe("Player", () => {
  const held: { urls: string[]; arrive: () => void; released: boolean }[] = [];
  let shown: number[];
  let value: number;
  let map: StubMap;
  let end: AbortController;

  beforeEach(() => {
    vi.useFakeTimers();
    held.length = 0;
    shown = [];
    value = 2000;
    end = new AbortController();
  });
  afterEach(() => {
    end.abort();
    vi.useRealTimers();
  });

  function player(control: ControlSpec = YEAR): Player {
    const hold = (urls: string[]) => {
      const { promise, resolve } = deferred<void>();
      const entry = { urls, arrive: () => resolve(), released: false };
      held.push(entry);
      return {
        ready: promise,
        release: () => {
          entry.released = true;
        },
      };
    };
    const view = viewOf(new StubModel(), hostOf(600, 400), end.signal, {
      feed: { hold } as never,
      layers: { urlsInView: (params: object) => [JSON.stringify(params)] } as never,
    });
    map = view.map as unknown as StubMap;
    return new Player(control, view, {
      value: () => value,
      params: (year) => ({ year }),
      show: (year) => {
        value = year as number;
        shown.push(value);
      },
    });
  }

  async function drawn(): Promise<void> {
    map.emit("idle");
    await vi.advanceTimersByTimeAsync(0);
  }

  it("shows a frame when its tiles are there and its time has come, and fetches one ahead", async () => {
    player().start();
    expect(held.map(({ urls }) => urls)).toEqual([['{"year":2001}']]);

    await vi.advanceTimersByTimeAsync(5000);
    expect(shown).toEqual([]); // the server is slow
    held[0]?.arrive();
    await vi.advanceTimersByTimeAsync(0);
    expect(shown).toEqual([2001]);

    expect(held).toHaveLength(1); // the map has not drawn it yet
    expect(held[0]?.released).toBe(false);
    await drawn();
    expect(held[0]?.released).toBe(true);
    expect(held.map(({ urls }) => urls[0])).toEqual(['{"year":2001}', '{"year":2002}']);

    held[1]?.arrive();
    await vi.advanceTimersByTimeAsync(900);
    expect(shown).toEqual([2001]); // the server is quick, the film is not
    await vi.advanceTimersByTimeAsync(200);
    expect(shown).toEqual([2001, 2002]);
  });

  it("stops at the end where it does not loop, and starts anew from there", async () => {
    value = 2002;
    const film = player({ ...YEAR, play: { seconds: 1, loop: false } });
    film.start();
    held[0]?.arrive();
    await vi.advanceTimersByTimeAsync(1000);
    await drawn();
    expect(shown).toEqual([2003]);
    expect(film.isPlaying).toBe(false);

    film.start();
    expect(shown).toEqual([2003, 2000]);
    expect(film.isPlaying).toBe(true);
  });

  it("drops what it fetched ahead when it is stopped, or when somebody moves the control", async () => {
    const film = player();
    film.start();
    value = 2002;
    film.moved();
    await vi.advanceTimersByTimeAsync(0);
    expect(held.map(({ urls, released }) => [urls[0], released])).toEqual([
      ['{"year":2001}', true],
      ['{"year":2003}', false],
    ]);

    film.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(held[1]?.released).toBe(true);
    expect(shown).toEqual([]);
  });

  it("is worked by buttons that say what they do", () => {
    const film = player();
    const labels = [...film.element.querySelectorAll("button, select")].map((each) => each.getAttribute("aria-label"));
    expect(labels).toEqual(["Previous", "Play", "Next", "Start again at the end", "Speed"]);

    const [previous, play, next] = [...film.element.querySelectorAll("button")];
    next?.click();
    next?.click();
    previous?.click();
    expect(shown).toEqual([2001, 2002, 2001]);
    play?.click();
    expect(play?.getAttribute("aria-label")).toBe("Pause");
    play?.click();
    expect([play?.getAttribute("aria-label"), film.isPlaying]).toEqual(["Play", false]);
  });
});
