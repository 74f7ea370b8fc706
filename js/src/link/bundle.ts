/** map.js, loaded once for each page and version: from the server, else from the kernel. */

import type * as MapModule from "../map";
import { ROUTES } from "../protocol";
import type { Server } from "./server";

export type Bundle = Pick<typeof MapModule, "mount">;
type Importer = (url: string) => Promise<Bundle>;

declare global {
  /** By hash of map.js, so that widgets of two versions can share a page. */
  var __fusedMaps: Record<string, Promise<Bundle>> | undefined;
}

/**
 * The bundle, from the first of these that has it; a failure is not kept, so that the next widget tries again.
 *
 * A server may have another version of us than the kernel, and then says so with 404; the kernel has the right one.
 */
export function loadBundle(
  hash: string,
  sources: readonly Pick<Server, "root" | "fetch">[],
  importer: Importer = (url) => import(url),
): Promise<Bundle> {
  globalThis.__fusedMaps ??= {};
  const bundles = globalThis.__fusedMaps;
  const loading = bundles[hash] ?? loadOnce(hash, sources, importer);
  bundles[hash] = loading;
  loading.catch(() => {
    if (bundles[hash] === loading) delete bundles[hash];
  });
  return loading;
}

async function loadOnce(
  hash: string,
  sources: readonly Pick<Server, "root" | "fetch">[],
  importer: Importer,
): Promise<Bundle> {
  const reasons: string[] = [];
  for (const source of sources) {
    const code = await read(source, hash, reasons);
    if (code) return importCode(code, importer);
  }
  throw new Error(`the map's code did not come: ${reasons.join("; ")}`);
}

async function read(
  source: Pick<Server, "root" | "fetch">,
  hash: string,
  reasons: string[],
): Promise<ArrayBuffer | null> {
  try {
    const response = await source.fetch(`${source.root}${ROUTES.static}/map.js?v=${encodeURIComponent(hash)}`);
    if (response.ok) return await response.arrayBuffer();
    reasons.push(await reasonOf(response));
  } catch (error) {
    reasons.push(String(error));
  }
  return null;
}

async function reasonOf(response: Response): Promise<string> {
  try {
    return String((await response.json()).error);
  } catch {
    return `HTTP ${response.status}`; // not from our server
  }
}

async function importCode(code: ArrayBuffer, importer: Importer): Promise<Bundle> {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return await importer(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}
