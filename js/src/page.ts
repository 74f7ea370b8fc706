/** A map in a page of its own: one of a server, for a UDF or a token, or a file that `to_html` wrote. Built into viewer.js. */

import type { Bundle } from "./link/bundle";
import { HttpServer, type Server } from "./link/server";
import { AddressBar } from "./page/address";
import { makeBar, type Title } from "./page/bar";
import { PlainModel } from "./page/model";
import pageCss from "./page/page.css?raw";
import { bytesOf, fetchWithToken, type Route, RoutedServer, type Stored, StoredServer } from "./page/servers";
import { stateOf, type UdfInfo } from "./page/udf";
import { TRAITS } from "./protocol";
import { StatusLine } from "./view/status";
import widgetCss from "./widget.css?raw";

/** A page of a server. The twin is fused_jupyter/server_ext/pages/viewer.py; addresses are relative to the page's. */
interface ServedPage extends Title {
  kind: "served";
  udf: UdfInfo;
  /** Where `fused/` is. */
  root: string;
  route: Route;
  /** Where the map's own files are. */
  files: string;
  is_owner: boolean;
}

/** A file with all that its map shows. The twin is fused_jupyter/widgets/_export.py, of the next one too. */
interface StoredPage extends Title {
  kind: "stored";
  state: Record<string, unknown>;
  answers: Record<string, Stored>;
  /** Base64. */
  bodies: string[];
  /** Of layers whose data Python held: index into the bodies, by digest. */
  contents: Record<string, number>;
}

/** A file whose map asks a server, by tokens. */
interface LivePage extends Omit<StoredPage, "kind" | "answers"> {
  kind: "live";
  root: string;
  /** By UDF. */
  routes: Record<string, Route>;
}

type PageData = ServedPage | StoredPage | LivePage;

interface Opened {
  model: PlainModel;
  server: Server;
  /** What the status line says of how data travels. */
  transport: string;
}

const OPENERS = { served: openServed, stored: openStored, live: openLive } as { [K in PageData["kind"]]: Opener };
type Opener = (page: PageData) => Opened;

function openServed(page: ServedPage): Opened {
  const at = (path: string) => new URL(path, location.href).href;
  const root = at(page.root).replace(/fused\/$/, "");
  const route = { file: at(page.route.file), tiles: at(page.route.tiles) };
  const owner = new HttpServer(root, {
    href: location.href,
    baseUrl: null,
    bodyBaseUrl: null,
    token: "",
    cookie: () => document.cookie,
  });
  const send = page.is_owner ? (url: string, init: RequestInit) => owner.fetch(url, init) : fetchWithToken;
  const server = new RoutedServer(root, { [page.udf.name]: route }, send, at(page.files));
  return { model: new PlainModel(stateOf(page.udf)), server, transport: `HTTP via ${server.path}` };
}

function openStored(page: StoredPage): Opened {
  const server = new StoredServer(page.answers, (index) => bytesOf(page.bodies[index] ?? ""));
  return { model: modelOf(page), server, transport: "a page of its own, without a server" };
}

function openLive(page: LivePage): Opened {
  const server = new RoutedServer(page.root, page.routes, fetchWithToken);
  return { model: modelOf(page), server, transport: `HTTP via ${new URL(page.root).host}` };
}

function modelOf({ state, contents, bodies }: StoredPage | LivePage): PlainModel {
  return new PlainModel(state, (digest) => {
    const index = contents[digest];
    return index === undefined ? null : bytesOf(bodies[index] ?? "");
  });
}

/** A style sheet that needs no element, which a page's policy would have to allow. */
function addStyle(_near: HTMLElement, id: string, css: string): void {
  if (added.has(id)) return;
  added.add(id);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets.push(sheet);
}

const added = new Set<string>();

/** The map's code: from the server, or out of the page. */
async function loadMap(page: PageData): Promise<Bundle> {
  if (page.kind === "served") return import(new URL(`${page.files}/map.js`, location.href).href);
  const url = URL.createObjectURL(new Blob([readJson("fused-map-code") as string], { type: "text/javascript" }));
  return import(url).finally(() => URL.revokeObjectURL(url));
}

function readJson(id: string): unknown {
  return JSON.parse(document.getElementById(id)?.textContent ?? "null");
}

async function start(): Promise<void> {
  const page = readJson("fused-page") as PageData;
  const { model, server, transport } = OPENERS[page.kind](page);
  const host = document.createElement("div");
  host.className = "fused-map";
  addStyle(host, "fused-map-widget", widgetCss);
  addStyle(host, "fused-page", pageCss);
  new AddressBar(model, page.kind === "served");
  // The form around a frame says what the map is and which values it has.
  if (window !== window.top) model.set(TRAITS.controls, []);
  else document.body.append(makeBar(page, page.kind === "served" ? { isOwner: page.is_owner } : null));
  document.body.append(host);
  let map: ReturnType<Bundle["mount"]> | null = null;
  const status = new StatusLine(host, () => map?.retry());
  status.update({ transport });
  try {
    const { mount } = await loadMap(page);
    map = mount({ model, host, status, server, reconnect: () => {}, addStyle });
  } catch (error) {
    status.update({ note: `the map cannot be shown: ${String(error)}`, idle: true });
  }
}

void start();
