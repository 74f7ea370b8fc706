/** Where a page of its own has its tiles from: a server that knows them by other addresses, or the page itself. */

import type { Server } from "../link/server";
import { ROUTES } from "../protocol";

const NO_CONTENT = 204;
const NOT_FOUND = 404;
const NOT_ACCEPTABLE = 406;
/** What our addresses say of a kernel, which a page of its own does not belong to. */
const OF_KERNELS = ["kernel", "v"];

/** Whole addresses of one UDF, without what follows: an extension, or a tile. */
export interface Route {
  file: string;
  tiles: string;
}

/** Sends a map's requests to other addresses, such as those of a token. */
export class RoutedServer implements Server {
  readonly client = "";
  readonly #pattern = new RegExp(`^(${ROUTES.file}|${ROUTES.tiles})/([^/.?]+)([^?]*)`);

  constructor(
    readonly root: string,
    private readonly routes: Readonly<Record<string, Route>>,
    private readonly send: (url: string, init: RequestInit) => Promise<Response>,
    /** Where the map's own files are, if the server has them. */
    private readonly files = "",
  ) {}

  get path(): string {
    return new URL(this.root).pathname;
  }

  headers(_url: string): Record<string, string> {
    return {};
  }

  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const address = this.addressOf(url);
    return address ? this.send(address, init) : refusal(NOT_FOUND, `this page does not open ${url}`);
  }

  /** Where it is asked for; null for what the page does not open. */
  addressOf(url: string): string | null {
    const target = new URL(url);
    const own = this.root + ROUTES.static;
    if (this.files && url.startsWith(own)) return `${this.files}${target.href.slice(own.length).split("?")[0]}`;
    const match = this.#pattern.exec(target.href.slice(this.root.length));
    const route = this.routes[decodeURIComponent(match?.[2] ?? "")];
    if (!target.href.startsWith(this.root) || !match || !route) return null;
    for (const name of OF_KERNELS) target.searchParams.delete(name);
    return `${match[1] === ROUTES.file ? route.file : route.tiles}${match[3]}${target.search}`;
  }
}

/** A fetch that tells a server nothing of who asks: a token is in the address, and opens it alone. */
export function fetchWithToken(url: string, init: RequestInit): Promise<Response> {
  return fetch(url, { ...init, credentials: "omit", referrerPolicy: "no-referrer" });
}

/** An answer that the page holds. */
export interface Stored {
  status: number;
  headers: Record<string, string>;
  /** Index into the bodies, as several answers may have the same one. */
  body: number;
}

/** Answers from what was put into the page when it was written. The twin is fused_jupyter/widgets/_export.py. */
export class StoredServer implements Server {
  readonly client = "";
  readonly path = "/";
  /** Nobody can fetch under it by mistake. */
  readonly root = "https://page.invalid/";

  constructor(
    private readonly answers: Readonly<Record<string, Stored>>,
    private readonly body: (index: number) => ArrayBuffer,
  ) {}

  headers(_url: string): Record<string, string> {
    return {};
  }

  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    init.signal?.throwIfAborted();
    const path = new URL(url).pathname.slice(1);
    const stored = this.answers[path];
    if (stored && stored.status !== NO_CONTENT) {
      return new Response(this.body(stored.body), { status: stored.status, headers: stored.headers });
    }
    // Numbers of pixels are not in the page, and tiles beyond its part of the world are empty.
    if (path.endsWith(".npy")) return refusal(NOT_ACCEPTABLE, "this page holds no numbers");
    if (path.startsWith(ROUTES.tiles)) return new Response(null, { status: NO_CONTENT });
    return refusal(NOT_FOUND, `this page does not hold ${path}`);
  }
}

export function bytesOf(base64: string): ArrayBuffer {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

function refusal(status: number, error: string): Response {
  return new Response(JSON.stringify({ error }), { status, headers: { "Content-Type": "application/json" } });
}
