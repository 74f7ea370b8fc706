import { describe, expect, it } from "vitest";
import { statesOf, withStates } from "../src/layers/states";
import type { LayerSpec, LayerState } from "../src/protocol";
import { automatic } from "../src/style/spec";

function spec(name: string): LayerSpec {
  return { name, type: "features", visible: true, opacity: 1, style: automatic("#111111") } as unknown as LayerSpec;
}

function state(name: string, change: Partial<LayerState> = {}): LayerState {
  return { name, visible: true, opacity: 1, color: null, ...change };
}

const SPECS = [spec("a"), spec("b"), spec("c")];

describe("withStates", () => {
  it("leaves the layers as they are where nobody chose", () => {
    expect(withStates(SPECS, [])).toEqual(SPECS);
  });

  it("orders them, and puts those that no state knows on top", () => {
    expect(withStates(SPECS, [state("b"), state("a")]).map(({ name }) => name)).toEqual(["b", "a", "c"]);
  });

  it("passes over states of layers that have gone", () => {
    expect(withStates(SPECS, [state("gone"), state("c")]).map(({ name }) => name)).toEqual(["c", "a", "b"]);
  });

  it("hides, fades and colours", () => {
    const [changed] = withStates(SPECS, [state("a", { visible: false, opacity: 0.5, color: "#ff0000" })]);
    expect(changed).toMatchObject({ visible: false, opacity: 0.5 });
    expect(changed?.style.color).toEqual({ kind: "constant", color: "#ff0000" });
    expect(SPECS[0]?.style.color).toBeNull();
  });
});

describe("statesOf", () => {
  it("says of every layer what is seen, and keeps the colour that was chosen", () => {
    const states = [state("b", { color: "#ff0000", opacity: 0.2 })];
    expect(statesOf(SPECS, states)).toEqual([state("b", { color: "#ff0000", opacity: 0.2 }), state("a"), state("c")]);
  });
});
