/** How all layers of a map look: it is told of their data, and gives their paint and what a legend says of them. */

import type { CommonSpec } from "../protocol";
import { HEADERS } from "../protocol";
import { LayerData } from "./data";
import { readable, ticksOf, withRoom } from "./numbers";
import { paintOf } from "./paint";
import { type Entry, type Look, resolve } from "./resolve";

const PATIENCE = 250; // ms in which the tiles of one view mostly come

interface Fetcher {
  fetch(url: string, options?: RequestInit): Promise<Response>;
}

export class Looks {
  readonly #data = new Map<string, LayerData>();
  readonly #cache = new Map<string, { key: string; look: Look }>();
  /** What colours of pictures stand for, by address without the tile. */
  readonly #keys = new Map<string, Entry>();
  readonly #followers = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#timer !== null && clearTimeout(this.#timer), { once: true });
  }

  /** Calls back when looks may have changed, until the signal aborts. */
  follow(callback: () => void, signal: AbortSignal): void {
    this.#followers.add(callback);
    signal.addEventListener("abort", () => this.#followers.delete(callback), { once: true });
  }

  /** A server whose answers say what the colours of pictures stand for. */
  watching<S extends Fetcher>(server: S): Pick<S, "fetch"> {
    const fetch = async (url: string, options?: RequestInit) => {
      const response = await server.fetch(url, options);
      this.#readKey(url, response.headers);
      return response;
    };
    return { fetch } as Pick<S, "fetch">;
  }

  /** A tile of the layer has come. */
  learnTile(name: string, tile: string, bytes: ArrayBuffer): void {
    const data = this.#of(name);
    const isFirst = !data.isKnown;
    // MapLibre has not seen the tile yet: so the first one is drawn in its colours at once.
    if (data.addTile(tile, bytes)) this.#tell(isFirst);
  }

  /** The file of the layer has come. */
  learnFile(name: string, bytes: ArrayBuffer): void {
    if (this.#of(name).replaceFile(bytes)) this.#tell(true);
  }

  /** The layer's tiles will be those of other code or other values. */
  restart(name: string): void {
    this.#data.get(name)?.restart();
  }

  /** All that is in view has come. */
  settle(): void {
    const changed = [...this.#data.values()].map((data) => data.settle());
    if (this.#timer !== null || changed.includes(true)) this.#tell(true);
  }

  forget(name: string): void {
    this.#data.delete(name);
    this.#cache.delete(name);
  }

  paint(spec: CommonSpec, type: string): Record<string, unknown> {
    return paintOf(this.look(spec), type, spec.opacity);
  }

  look({ name, style }: Pick<CommonSpec, "name" | "style">): Look {
    const data = this.#of(name);
    const key = `${data.version} ${JSON.stringify(style)}`;
    const cached = this.#cache.get(name);
    if (cached?.key === key) return cached.look;
    const look = resolve(style, data);
    this.#cache.set(name, { key, look });
    return look;
  }

  /** Whether features of the layer have come. */
  isKnown(name: string): boolean {
    return this.#data.get(name)?.isKnown ?? false;
  }

  /** What the colours of a layer of pictures stand for; null where its tiles said nothing of it. */
  keyOf(template: string): Entry | null {
    return this.#keys.get(withoutTile(template)) ?? null;
  }

  #of(name: string): LayerData {
    const data = this.#data.get(name) ?? new LayerData();
    this.#data.set(name, data);
    return data;
  }

  #readKey(url: string, headers: Headers): void {
    const colors = headers.get(HEADERS.colors);
    if (!colors) return;
    const address = withoutTile(url);
    const before = this.#keys.get(address);
    const entry = readKey(colors, headers.get(HEADERS.rescale), before);
    if (!entry || JSON.stringify(entry) === JSON.stringify(before)) return;
    this.#keys.delete(address);
    this.#keys.set(address, entry);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > 200 && oldest !== undefined) this.#keys.delete(oldest);
    this.#tell(true);
  }

  #tell(atOnce: boolean): void {
    if (atOnce) {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
      for (const callback of [...this.#followers]) callback();
    } else this.#timer ??= setTimeout(() => this.#tell(true), PATIENCE);
  }
}

/** The address of a layer's tiles, whichever tile and format it names. */
export function withoutTile(url: string): string {
  const [path = "", query = ""] = url.split("?");
  return `${path.replace(/\/(\d+|\{z\})\/(\d+|\{x\})\/(\d+|\{y\})(\.\w+)?$/, "")}?${query}`;
}

/** The two headers of a picture as a legend's entry; classes of other tiles are kept. */
export function readKey(colors: string, rescale: string | null, before?: Entry): Entry | null {
  const words = colors.split(" ").filter(Boolean);
  if (words.some((word) => word.includes("="))) {
    const items = words.map((word) => {
      const [label = "", digits = ""] = word.split("=");
      return { label, color: `#${digits}` };
    });
    const known = before?.type === "categories" ? before.items : [];
    const added = items.filter(({ label }) => known.every((item) => item.label !== label));
    const all = [...known, ...added].sort((a, b) => a.label.localeCompare(b.label, "en", { numeric: true }));
    return { type: "categories", label: "", items: all };
  }
  const [low, high] = (rescale ?? "").split(",").map(Number);
  if (low === undefined || high === undefined || !(high >= low)) return null;
  const stops = words.map((digits, i) => ({ at: i / Math.max(1, words.length - 1), color: `#${digits}` }));
  const place = (value: number) => (high > low ? (value - low) / (high - low) : 0.5);
  const ticks = ticksOf([low, high]).map((value) => ({ at: place(value), text: readable(value, high - low) }));
  return { type: "ramp", label: "", stops, ticks: withRoom(ticks), missing: null };
}
