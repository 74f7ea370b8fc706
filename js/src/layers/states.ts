/** What the user chose in the layer panel, on top of what Python says. */

import type { LayerSpec, LayerState } from "../protocol";
import { recolored } from "../style/spec";

/** Layers in their order, with their opacity, visibility and colour; those that no state knows lie on top. */
export function withStates(specs: readonly LayerSpec[], states: readonly LayerState[]): LayerSpec[] {
  const places = new Map(states.map(({ name }, i) => [name, i]));
  const place = ({ name }: LayerSpec) => places.get(name) ?? states.length;
  return [...specs].sort((a, b) => place(a) - place(b)).map((spec) => withState(spec, states[place(spec)]));
}

/** What a panel would write of these layers. */
export function statesOf(specs: readonly LayerSpec[], states: readonly LayerState[]): LayerState[] {
  const colors = new Map(states.map(({ name, color }) => [name, color]));
  return withStates(specs, states).map(({ name, visible, opacity }) => ({
    name,
    visible,
    opacity,
    color: colors.get(name) ?? null,
  }));
}

function withState(spec: LayerSpec, state: LayerState | undefined): LayerSpec {
  if (!state) return spec;
  const { visible, opacity, color } = state;
  return { ...spec, visible, opacity, style: color === null ? spec.style : recolored(spec.style, color) };
}
