/** Where the Jupyter server is, and how a page may talk to it. */

import { HEADERS, ROUTES } from "../protocol";

const PING_TIMEOUT = 1500; // ms
const PING_WAITS = [300, 900]; // ms before the second and the third try
const START_WAITS = [...PING_WAITS, 2000, 3000, 4000, 5000]; // ms; a server that knows no such kernel may do so when its host has started

/** What the page tells of its server. */
export interface Page {
  /** Address of the page. */
  href: string;
  /** `baseUrl` of JupyterLab's and Notebook's page config. */
  baseUrl: string | null;
  /** `data-base-url` of the body, as nbclassic and Voila have it. */
  bodyBaseUrl: string | null;
  token: string;
  /** Read anew for every request, since the server may change it. */
  cookie: () => string;
}

/** No server answered; the message says why. */
export class NoServerError extends Error {}

export function readPage(): Page {
  const config = readConfig(document.getElementById("jupyter-config-data")?.textContent);
  return {
    href: location.href,
    baseUrl: textOf(config.baseUrl),
    bodyBaseUrl: document.body?.dataset.baseUrl ?? null,
    token: textOf(config.token) ?? "",
    cookie: () => document.cookie,
  };
}

/** The server's root as an absolute URL that ends with a slash, or null if the page names none. */
export function resolveRoot(explicit: string, page: Page): string | null {
  const found = explicit || page.baseUrl || page.bodyBaseUrl;
  if (!found) return null;
  const root = new URL(found, page.href);
  root.search = root.hash = "";
  return root.href.endsWith("/") ? root.href : `${root.href}/`;
}

/** Answers the requests of one map, by whatever way. */
export interface Server {
  /** What the addresses of our routes begin with; absolute, with a slash at the end. */
  readonly root: string;
  /** Path of the root, e.g. /user/ana/. */
  readonly path: string;
  /** Tells this map from others: those that wait for the same workers take turns. */
  readonly client: string;
  /** Headers for those who fetch by themselves, as MapLibre does for base maps. */
  headers(url: string): Record<string, string>;
  /** The answer to a GET. */
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

/** A Jupyter server, by HTTP; knows which headers its requests need. */
export class HttpServer implements Server {
  readonly client = randomName();
  #usesToken = false;

  constructor(
    readonly root: string,
    private readonly page: Page,
  ) {}

  get path(): string {
    return new URL(this.root).pathname;
  }

  /**
   * The headers for a URL: none outside the root, and none for a root of another origin, which would have to allow each.
   *
   * JupyterHub refuses a cookie without the XSRF header, even for GET; the token goes into a header and never into a URL.
   */
  headers(url: string): Record<string, string> {
    const target = new URL(url, this.page.href);
    if (!target.href.startsWith(this.root) || target.origin !== new URL(this.page.href).origin) return {};
    const headers: Record<string, string> = { [HEADERS.client]: this.client };
    const xsrf = cookieValue(this.page.cookie(), "_xsrf");
    if (xsrf) headers["X-XSRFToken"] = xsrf;
    if (this.#usesToken) headers.Authorization = `token ${this.page.token}`;
    return headers;
  }

  /** `fetch` with our headers; refused by cookie, it tries once more with the page's token. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const response = await this.#fetchOnce(url, init);
    if (!isRefused(response) || this.#usesToken || !this.page.token) return response;
    this.#usesToken = true;
    return this.#fetchOnce(url, init);
  }

  #fetchOnce(url: string, init: RequestInit): Promise<Response> {
    // A Hub redirects to its login page instead of refusing; followed, that is HTML with status 200.
    return fetch(url, { ...init, headers: this.headers(url), credentials: "same-origin", redirect: "manual" });
  }
}

/**
 * The server, once it answered for this kernel.
 *
 * Raises NoServerError after the last try.
 */
export async function connect(
  explicit: string,
  kernelId: string,
  page: Page,
  signal: AbortSignal,
): Promise<HttpServer> {
  const root = resolveRoot(explicit, page);
  if (!root) throw new NoServerError("this page names no Jupyter server");
  const server = new HttpServer(root, page);
  for (let attempt = 0; ; attempt++) {
    const refusal = await ping(server, kernelId, signal);
    if (refusal === null) return server;
    const wait = (refusal === UNKNOWN_KERNEL ? START_WAITS : PING_WAITS)[attempt];
    if (wait === undefined || signal.aborted) throw new NoServerError(`${server.path} ${refusal}`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

const UNKNOWN_KERNEL = "does not reach this kernel";

/** Null if the server knows this kernel, else why not. */
async function ping(server: Server, kernelId: string, signal: AbortSignal): Promise<string | null> {
  const url = `${server.root}${ROUTES.ping}?kernel=${encodeURIComponent(kernelId)}`;
  try {
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(PING_TIMEOUT)]);
    const response = await server.fetch(url, { cache: "no-store", signal: timeout });
    if (isRefused(response)) return "refused this page; is it logged in?";
    if (response.status === 404) return "has no fused_jupyter extension (404)";
    if (!response.ok) return `answered ${response.status}`;
    const answer: unknown = await response.json();
    if (!isObject(answer) || answer.kernel !== kernelId) return "answered for another kernel";
    return answer.alive === false ? UNKNOWN_KERNEL : null;
  } catch (error) {
    return error instanceof Error && error.name === "TimeoutError" ? "gave no answer" : `failed: ${String(error)}`;
  }
}

/** Not `crypto.randomUUID`, which plain http lacks unless the server is on the same machine. */
export function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isRefused(response: Response): boolean {
  return response.type === "opaqueredirect" || response.status === 401 || response.status === 403;
}

function readConfig(text: string | null | undefined): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(text ?? "{}");
    return isObject(config) ? config : {};
  } catch {
    return {}; // another application's element of the same id
  }
}

function cookieValue(cookies: string, name: string): string | null {
  const pair = cookies.split(/;\s*/).find((cookie) => cookie.startsWith(`${name}=`));
  return pair ? pair.slice(name.length + 1) : null;
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
