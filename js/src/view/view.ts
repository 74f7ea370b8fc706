/** What every part of a map is given: one view of a model, with MapLibre's map in it. */

import type { Map as MapLibreMap } from "maplibre-gl";
import type { LayerStack } from "../layers/stack";
import type { Server } from "../link/server";
import { type Model, write } from "../protocol";
import type { Looks } from "../style/looks";
import type { TileFeed } from "../tiles/feed";
import type { StatusLine } from "./status";

export interface View {
  readonly model: Model;
  /** The element that holds the canvas, the panels and the status line. */
  readonly host: HTMLElement;
  readonly map: MapLibreMap;
  readonly status: StatusLine;
  /** Null where none was found. */
  readonly server: Server | null;
  readonly layers: LayerStack;
  readonly looks: Looks;
  /** Null where there is no server. */
  readonly feed: TileFeed | null;
  /** Aborts when the view goes. */
  readonly signal: AbortSignal;
  /** A style sheet, once for the page. */
  addStyle(near: HTMLElement, id: string, css: string): void;
}

/** One room of the map, built when the map's style is there; it ends with the view's signal. */
export type Part = (view: View) => void;

/** Writes a trait unless the view has gone. */
export function tell({ model, signal }: Pick<View, "model" | "signal">, trait: string, value: unknown): void {
  if (!signal.aborted) write(model, trait, value);
}
