/** map.js, loaded once for each page and version: from the server, else from the kernel. */

import type * as MapModule from "../map";
import { type CustomMessage, listen, MESSAGES, type Model } from "../protocol";
import type { Server } from "./server";

export type Bundle = Pick<typeof MapModule, "mount">;
type Importer = (url: string) => Promise<Bundle>;

const KERNEL_TIMEOUT = 30_000; // ms; a kernel that runs a cell may answer late, one that died never

declare global {
  /** By hash of map.js, so that widgets of two versions can share a page. */
  var __fusedMaps: Record<string, Promise<Bundle>> | undefined;
}

/** The bundle; a failure is not kept, so that the next widget tries again. */
export function loadBundle(
  hash: string,
  model: Model,
  server: Server | null,
  importer: Importer = (url) => import(url),
): Promise<Bundle> {
  globalThis.__fusedMaps ??= {};
  const bundles = globalThis.__fusedMaps;
  const loading = bundles[hash] ?? loadOnce(hash, model, server, importer);
  bundles[hash] = loading;
  loading.catch(() => {
    if (bundles[hash] === loading) delete bundles[hash];
  });
  return loading;
}

async function loadOnce(hash: string, model: Model, server: Server | null, importer: Importer): Promise<Bundle> {
  const code = (await fromServer(hash, server)) ?? (await fromKernel(model));
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return await importer(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Null where there is no server, or one that has another version of us. */
async function fromServer(hash: string, server: Server | null): Promise<ArrayBuffer | null> {
  if (!server) return null;
  try {
    const response = await server.fetch(`${server.root}fused/static/map.js?v=${encodeURIComponent(hash)}`);
    return response.ok ? await response.arrayBuffer() : null;
  } catch {
    return null;
  }
}

function fromKernel(model: Model): Promise<Uint8Array<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const done = new AbortController();
    const timer = setTimeout(() => {
      done.abort();
      reject(new Error("neither the Jupyter server nor the kernel gave the map's code; run the cell again"));
    }, KERNEL_TIMEOUT);
    const receive = (content: CustomMessage, buffers: DataView<ArrayBuffer>[]) => {
      const view = buffers[0];
      if (content.kind !== MESSAGES.bundle || !view) return;
      clearTimeout(timer);
      done.abort();
      resolve(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    };
    listen(model, "msg:custom", receive, done.signal);
    model.send({ kind: MESSAGES.bundle });
  });
}
