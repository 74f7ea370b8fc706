/** What lies under the layers: nothing, XYZ tiles, or a MapLibre style. */

import type { Map as MapLibreMap, StyleSpecification } from "maplibre-gl";
import { isOurs } from "./stack";

/** No basemap: the canvas is clear, and the page's own background, light or dark, shines through. */
export const BLANK: StyleSpecification = { version: 8, sources: {}, layers: [] };

export class Basemap {
  #latest: unknown = null;

  constructor(
    private readonly map: MapLibreMap,
    private readonly tell: (note: string) => void,
    private readonly signal: AbortSignal,
  ) {}

  /** Shows null, an XYZ template, the URL of a style, or a style. */
  async show(basemap: unknown): Promise<void> {
    this.#latest = basemap;
    try {
      const style = await this.#styleOf(basemap);
      if (this.#latest !== basemap || this.signal.aborted) return;
      this.map.setStyle(style, { transformStyle: keepOurs });
    } catch (error) {
      if (!this.signal.aborted) this.tell(`basemap: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #styleOf(basemap: unknown): Promise<StyleSpecification> {
    if (!basemap) return BLANK;
    if (typeof basemap !== "string") return basemap as StyleSpecification;
    if (basemap.includes("{z}")) return tiled(new URL(basemap, location.href).href);
    const response = await fetch(basemap, { signal: this.signal });
    if (!response.ok) throw new Error(`${basemap} answered ${response.status}`);
    return (await response.json()) as StyleSpecification;
  }
}

function tiled(template: string): StyleSpecification {
  const tiles = [template.replaceAll("%7B", "{").replaceAll("%7D", "}")];
  return {
    version: 8,
    sources: { basemap: { type: "raster", tiles, tileSize: 256, maxzoom: 19 } },
    layers: [{ id: "basemap", type: "raster", source: "basemap" }],
  };
}

/** The new style below, our sources and layers on top as they were. */
function keepOurs(previous: StyleSpecification | undefined, next: StyleSpecification): StyleSpecification {
  const sources = Object.entries(previous?.sources ?? {}).filter(([id]) => isOurs(id));
  const layers = previous?.layers.filter(({ id }) => isOurs(id)) ?? [];
  return { ...next, sources: { ...next.sources, ...Object.fromEntries(sources) }, layers: [...next.layers, ...layers] };
}
