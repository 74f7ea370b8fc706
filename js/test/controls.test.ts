import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControlPanel, shownValue } from "../src/panel/controls";
import type { ControlSpec } from "../src/protocol";
import { StubModel } from "./stub";

const SLIDER: ControlSpec = { name: "min_mag", kind: "slider", type: "float", value: 4, min: 0, max: 8, step: 0.05 };
const CHECKBOX: ControlSpec = {
  name: "deep",
  kind: "checkbox",
  type: "bool",
  value: true,
  min: null,
  max: null,
  step: null,
};
const TEXT: ControlSpec = { name: "column", kind: "text", type: "str", value: "mag", min: null, max: null, step: null };

describe("ControlPanel", () => {
  const onParams = vi.fn();
  let host: HTMLElement;
  let end: AbortController;

  beforeEach(() => {
    vi.useFakeTimers();
    onParams.mockReset();
    document.body.innerHTML = "<div></div>";
    host = document.body.firstElementChild as HTMLElement;
    end = new AbortController();
  });
  afterEach(() => {
    end.abort();
    vi.useRealTimers();
  });

  function panel(controls: ControlSpec[], params = {}): StubModel {
    const model = new StubModel({ controls, params });
    new ControlPanel(model, host, onParams, end.signal);
    return model;
  }

  function input(name: string): HTMLInputElement {
    return host.querySelector(`input[name="${name}"]`) as HTMLInputElement;
  }

  function move(name: string, change: Partial<HTMLInputElement>): void {
    Object.assign(input(name), change);
    input(name).dispatchEvent(new Event("input", { bubbles: true }));
  }

  it("is hidden without controls", () => {
    panel([]);
    expect(host.querySelector("form")?.hidden).toBe(true);
  });

  it("labels every control and shows defaults or params", () => {
    panel([SLIDER, CHECKBOX, TEXT], { min_mag: 6 });

    expect([...host.querySelectorAll("label span")].map((name) => name.textContent)).toEqual([
      "min_mag",
      "deep",
      "column",
    ]);
    expect(input("min_mag").value).toBe("6");
    expect(host.querySelector("output")?.textContent).toBe("6");
    expect(input("deep").checked).toBe(true);
    expect(input("column").value).toBe("mag");
    expect(input("min_mag").closest("label")).not.toBeNull();
  });

  it("turns quick moves into one change of the trait, typed, with the other params kept", () => {
    const model = panel([SLIDER, CHECKBOX, TEXT], { other: 1 });

    move("min_mag", { value: "5" });
    move("min_mag", { value: "5.5" });
    move("deep", { checked: false });
    expect(onParams).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);

    const params = { other: 1, min_mag: 5.5, deep: false };
    expect(onParams).toHaveBeenCalledExactlyOnceWith(params);
    expect(model.get("params")).toEqual(params);
    expect(model.saves).toBe(1);
  });

  it("follows params and controls that Python changes", () => {
    const model = panel([SLIDER]);

    model.set("params", { min_mag: 7 });
    expect(input("min_mag").value).toBe("7");
    model.set("controls", [{ ...TEXT, value: "depth" }]);

    expect(input("min_mag")).toBeNull();
    expect(input("column").value).toBe("depth");
  });

  it("goes, and listens no more, when the view ends", () => {
    const model = panel([SLIDER]);

    end.abort();

    expect(host.querySelector("form")).toBeNull();
    expect(model.listeners("change:params")).toBe(0);
  });
});

describe("shownValue", () => {
  it("is the default where the map has no value", () => {
    expect(shownValue(SLIDER, {})).toBe(4);
    expect(shownValue(CHECKBOX, { deep: false })).toBe(false);
  });
});
