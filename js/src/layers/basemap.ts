/** What lies under the layers: nothing, a colour, the world from our own server, XYZ tiles, or a MapLibre style. */

import type { Map as MapLibreMap, StyleSpecification } from "maplibre-gl";
import type { Server } from "../link/server";
import { ROUTES } from "../protocol";
import { isOurs } from "./drawn";
import { followTheme, isDark } from "./theme";
import { plainStyle, readWorld, type World, worldStyle } from "./world";

/** No basemap: the canvas is clear, and the page's own background, light or dark, shines through. */
export const BLANK: StyleSpecification = { version: 8, sources: {}, layers: [] };

/** Tiles with what must be said of their maker; the twin is fused_jupyter/widgets/_basemaps.py. */
interface Tiled {
  tiles: string[];
  attribution?: string;
  max_zoom?: number;
  tile_size?: number;
}

export interface BasemapContext {
  map: MapLibreMap;
  host: HTMLElement;
  /** The text of world.json; rejects where neither server nor kernel has it. */
  fetchWorld: () => Promise<string>;
  tell: (note: string) => void;
  /** Calls back when it begins or ends to wait. */
  changed: () => void;
  signal: AbortSignal;
}

let kept: World | null = null; // once for all maps of a page

export class Basemap {
  #latest: unknown = null;
  #waiting = 0;

  constructor(private readonly context: BasemapContext) {
    const { host, signal } = context;
    let wasDark = isDark(host);
    const turn = () => {
      if (wasDark === isDark(host) || !THEMED.has(this.#latest)) return;
      wasDark = isDark(host);
      void this.show(this.#latest);
    };
    followTheme(turn, signal);
  }

  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /** Shows null, "plain", "world", an XYZ template, tiles with their attribution, the URL of a style, or a style. */
  async show(basemap: unknown): Promise<void> {
    const { map, signal, tell, changed } = this.context;
    this.#latest = basemap;
    this.#waiting += 1;
    changed();
    try {
      const style = await this.#styleOf(basemap);
      if (this.#latest !== basemap || signal.aborted) return;
      map.setStyle(style, { transformStyle: keepOurs });
    } catch (error) {
      if (!signal.aborted) tell(`basemap: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#waiting -= 1;
      if (!signal.aborted) changed();
    }
  }

  async #styleOf(basemap: unknown): Promise<StyleSpecification> {
    const { host, signal } = this.context;
    if (!basemap) return BLANK;
    if (basemap === "plain") return plainStyle(isDark(host));
    if (basemap === "world") return worldStyle(await this.#world(), isDark(host));
    if (isTiled(basemap)) return tiled(basemap);
    if (typeof basemap !== "string") return basemap as StyleSpecification;
    if (basemap.includes("{z}")) return tiled({ tiles: [basemap] });
    const response = await fetch(basemap, { signal });
    if (!response.ok) throw new Error(`${basemap} answered ${response.status}`);
    return (await response.json()) as StyleSpecification;
  }

  async #world(): Promise<World> {
    kept ??= readWorld(await this.context.fetchWorld());
    return kept;
  }
}

/** The text of world.json: from the server, else from the kernel, which calls it by its name. */
export async function fetchWorld(
  server: Pick<Server, "root" | "fetch"> | null,
  ask: (digest: string) => Promise<ArrayBuffer | null>,
): Promise<string> {
  const response = await server?.fetch(`${server.root}${ROUTES.static}/world.json?v=${WORLD_HASH}`).catch(() => null);
  if (response?.ok) return response.text();
  const bytes = await ask("world.json");
  if (!bytes) throw new Error("neither server nor kernel gave the outline of the world");
  return new TextDecoder().decode(bytes);
}

const THEMED = new Set<unknown>(["plain", "world"]);

function isTiled(basemap: unknown): basemap is Tiled {
  return typeof basemap === "object" && basemap !== null && Array.isArray((basemap as Tiled).tiles);
}

function tiled({ tiles, attribution, max_zoom = 19, tile_size = 256 }: Tiled): StyleSpecification {
  const absolute = tiles.map((template) => new URL(template, location.href).href);
  return {
    version: 8,
    sources: {
      basemap: {
        type: "raster",
        tiles: absolute.map((template) => template.replaceAll("%7B", "{").replaceAll("%7D", "}")),
        tileSize: tile_size,
        maxzoom: max_zoom,
        ...(attribution && { attribution }),
      },
    },
    layers: [{ id: "basemap", type: "raster", source: "basemap" }],
  };
}

/** The new style below, our sources and layers on top as they were. */
function keepOurs(previous: StyleSpecification | undefined, next: StyleSpecification): StyleSpecification {
  const sources = Object.entries(previous?.sources ?? {}).filter(([id]) => isOurs(id));
  const layers = previous?.layers.filter(({ id }) => isOurs(id)) ?? [];
  return { ...next, sources: { ...next.sources, ...Object.fromEntries(sources) }, layers: [...next.layers, ...layers] };
}
