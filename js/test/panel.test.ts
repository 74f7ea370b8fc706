import { describe, expect, it } from "vitest";
import { addPanel } from "../src/panel/panel";
import { StubModel } from "./stub";
import { hostOf, type StubMap, viewOf } from "./view";

function stage(width = 600, height = 400) {
  const host = hostOf(width, height);
  const view = viewOf(new StubModel(), host, new AbortController().signal);
  return { host, view, map: view.map as unknown as StubMap };
}

function titles(host: HTMLElement): (string | null)[] {
  return [...host.querySelectorAll("summary")].map((summary) => summary.textContent);
}

describe("addPanel", () => {
  it("puts panels in their order, whoever comes first, also for the tab key", () => {
    const { host, view } = stage();
    addPanel(view, { title: "Layers", order: 20 });
    addPanel(view, { title: "Parameters", order: 10 });
    addPanel(view, { title: "More", order: 20 });

    expect(titles(host)).toEqual(["Parameters", "Layers", "More"]);
  });

  it.each([
    [600, 400, true],
    [400, 400, false],
    [600, 200, false],
  ])("on a map of %i x %i px starts open: %s", (width, height, open) => {
    const { view } = stage(width, height);
    expect(addPanel(view, { title: "Legend" }).root.open).toBe(open);
  });

  it("waits for a size where the map is hidden", () => {
    const { host, view, map } = stage(0, 0);
    const { root } = addPanel(view, { title: "Legend" });
    expect(root.open).toBe(false);

    Object.defineProperty(host, "clientWidth", { value: 800 });
    Object.defineProperty(host, "clientHeight", { value: 500 });
    map.emit("resize");

    expect(root.open).toBe(true);
  });

  it("has one open at a time on a small map", () => {
    const { view } = stage(400, 300);
    const first = addPanel(view, { title: "Parameters" });
    const second = addPanel(view, { title: "Legend", corner: "bottom-left" });
    for (const { root } of [first, second]) {
      root.open = true;
      root.dispatchEvent(new Event("toggle"));
    }

    expect([first.root.open, second.root.open]).toEqual([false, true]);
  });

  it("closes on Escape and gives the focus to its handle", () => {
    const { view } = stage();
    const { root, body } = addPanel(view, { title: "Legend" });
    const input = body.appendChild(document.createElement("input"));
    input.focus();

    input.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true }));

    expect(root.open).toBe(false);
    expect(document.activeElement?.textContent).toBe("Legend");
  });

  it("goes, and can be renamed", () => {
    const { host, view } = stage();
    const panel = addPanel(view, { title: "Legend" });
    panel.title = "Quakes";
    expect(titles(host)).toEqual(["Quakes"]);

    panel.remove();

    expect(titles(host)).toEqual([]);
  });
});
