import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControlPanel, shownValue } from "../src/panel/controls";
import type { ControlSpec } from "../src/protocol";
import { StubModel } from "./stub";
import { hostOf, viewOf } from "./view";

function control(values: Partial<ControlSpec>): ControlSpec {
  const nothing = { label: "", optional: false, min: null, max: null, step: null, options: null, play: null };
  return { name: "x", kind: "text", type: "str", value: "", ...nothing, ...values };
}

const SLIDER = control({ name: "min_mag", kind: "slider", type: "float", value: 4, min: 0, max: 8, step: 0.05 });
const CHECKBOX = control({ name: "deep", kind: "checkbox", type: "bool", value: true });
const TEXT = control({ name: "column", value: "mag" });
const RANGE = control({ name: "depth", kind: "range", type: "int", value: [10, 20], min: 0, max: 40, step: 1 });
const BAND = control({
  name: "band",
  kind: "dropdown",
  value: 8,
  type: "int",
  options: [
    ["Red", 4],
    ["Near infrared", 8],
  ],
});
const MONTH = control({
  name: "month",
  kind: "steps",
  type: "date",
  value: "2024-01-01",
  options: [
    ["Jan", "2024-01-01"],
    ["Feb", "2024-02-01"],
  ],
});

describe("ControlPanel", () => {
  let host: HTMLElement;
  let end: AbortController;

  beforeEach(() => {
    vi.useFakeTimers();
    host = hostOf(600, 400);
    end = new AbortController();
  });
  afterEach(() => {
    end.abort();
    vi.useRealTimers();
  });

  function panel(controls: ControlSpec[], params = {}): StubModel {
    const model = new StubModel({ controls, params });
    new ControlPanel(viewOf(model, host, end.signal));
    return model;
  }

  function input(name: string): HTMLInputElement {
    return host.querySelector(`[name="${name}"]`) as HTMLInputElement;
  }

  function move(name: string, change: Partial<HTMLInputElement>, event = "input"): void {
    Object.assign(input(name), change);
    input(name).dispatchEvent(new Event(event, { bubbles: true }));
  }

  it("is hidden without controls", () => {
    panel([]);
    expect(host.querySelector("details")?.hidden).toBe(true);
  });

  it("labels every control and shows defaults or params", () => {
    panel([SLIDER, CHECKBOX, TEXT, { ...BAND, label: "Channel" }], { min_mag: 6 });

    const names = [...host.querySelectorAll(".fused-name")].map((name) => name.textContent);
    expect(names).toEqual(["min_mag", "deep", "column", "Channel"]);
    expect(input("min_mag").value).toBe("6");
    expect(host.querySelector("output")?.textContent).toBe("6");
    expect(input("deep").checked).toBe(true);
    expect(input("column").value).toBe("mag");
    expect(input("band").value).toBe("1");
    for (const each of host.querySelectorAll("input, select")) expect(each.closest("label")).not.toBeNull();
  });

  it("sends the first move at once, at most one in 100 ms after it, and always the last", () => {
    const model = panel([SLIDER, CHECKBOX], { other: 1 });
    const feed = { hasAnswered: false, follow: () => {} };
    end.abort();
    end = new AbortController();
    host = hostOf(600, 400);
    new ControlPanel(viewOf(model, host, end.signal, { feed: feed as never }));

    move("min_mag", { value: "5" });
    expect(model.get("params")).toEqual({ other: 1, min_mag: 5 });
    move("min_mag", { value: "5.5" });
    move("min_mag", { value: "6" });
    move("deep", { checked: false });
    vi.advanceTimersByTime(90);
    expect(model.saves).toBe(1);
    vi.advanceTimersByTime(20);

    expect(model.get("params")).toEqual({ other: 1, min_mag: 6, deep: false });
    expect(model.saves).toBe(2);
  });

  it("waits for a pause in typing, or for the end of it", () => {
    const model = panel([TEXT, control({ name: "year", kind: "number", type: "int", value: 2020, min: 1900 })]);

    move("column", { value: "de" });
    move("column", { value: "depth" });
    expect(model.saves).toBe(0);
    vi.advanceTimersByTime(400);
    expect(model.get("params")).toEqual({ column: "depth" });

    vi.advanceTimersByTime(400);
    move("year", { value: "2021" }, "change");
    expect(model.get("params")).toEqual({ column: "depth", year: 2021 });
  });

  it("gives values in their type: numbers of options, lists of ranges and of texts with commas", () => {
    const bands = control({ name: "bands", type: "list", value: [1, 2, 3] });
    const model = panel([BAND, RANGE, bands, MONTH]);

    move("band", { value: "0" }, "change");
    move("bands", { value: "4, 5" }, "change");
    vi.advanceTimersByTime(100);
    const [from, to] = [...host.querySelectorAll<HTMLInputElement>(".fused-track input")];
    Object.assign(from as HTMLInputElement, { value: "15" }).dispatchEvent(new Event("input", { bubbles: true }));
    vi.advanceTimersByTime(100);
    Object.assign(host.querySelector('[id$="month"]') as HTMLInputElement, { value: "1" }).dispatchEvent(
      new Event("input", { bubbles: true }),
    );
    vi.advanceTimersByTime(100);

    expect(model.get("params")).toEqual({ band: 4, bands: [4, 5], depth: [15, 20], month: "2024-02-01" });
    expect([from?.getAttribute("aria-label"), to?.getAttribute("aria-label")]).toEqual(["depth from", "depth to"]);
    expect(host.querySelector('[id$="month"]')?.getAttribute("aria-valuetext")).toBe("Feb");
  });

  it("keeps the ends of a range in order", () => {
    const model = panel([RANGE]);
    const from = host.querySelector<HTMLInputElement>(".fused-track input") as HTMLInputElement;

    Object.assign(from, { value: "35" }).dispatchEvent(new Event("input", { bubbles: true }));

    expect(model.get("params")).toEqual({ depth: [20, 20] });
    expect(from.value).toBe("20");
  });

  it("leaves an optional parameter out when its control is emptied", () => {
    const optional = control({ name: "limit", kind: "number", type: "float", value: null, optional: true });
    const model = panel([optional], { limit: 3, other: 1 });

    move("limit", { value: "" }, "change");

    expect(model.get("params")).toEqual({ other: 1 });
    expect(input("limit").value).toBe("");
  });

  it("follows params and controls that Python changes", () => {
    const model = panel([SLIDER, RANGE, BAND, MONTH]);

    model.set("params", { min_mag: 7, depth: [1, 2], band: 4, month: "2024-02-01" });
    expect(input("min_mag").value).toBe("7");
    expect([...host.querySelectorAll("output")].map((each) => each.textContent)).toEqual(["7", "1 – 2", "Feb"]);
    expect(input("band").value).toBe("0");
    model.set("controls", [{ ...TEXT, value: "depth" }]);

    expect(input("min_mag")).toBeNull();
    expect(input("column").value).toBe("depth");
  });

  it("puts everything back, and offers that only when something moved", () => {
    const model = panel([SLIDER, CHECKBOX]);
    const reset = host.querySelector<HTMLButtonElement>(".fused-reset");
    expect(reset?.hidden).toBe(true);

    move("min_mag", { value: "7" });
    expect(reset?.hidden).toBe(false);
    reset?.click();

    expect(model.get("params")).toEqual({ min_mag: 4, deep: true });
    expect(input("min_mag").value).toBe("4");
    expect(reset?.hidden).toBe(true);
  });

  it("listens no more when the view ends", () => {
    const model = panel([SLIDER]);

    move("min_mag", { value: "5" });
    move("min_mag", { value: "6" });
    end.abort();
    vi.advanceTimersByTime(500);

    expect(model.get("params")).toEqual({ min_mag: 5 });
    expect(model.listeners("change:params")).toBe(0);
  });
});

describe("shownValue", () => {
  it("is the default where the map has no value", () => {
    expect(shownValue(SLIDER, {})).toBe(4);
    expect(shownValue(CHECKBOX, { deep: false })).toBe(false);
  });
});
