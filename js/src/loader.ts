/** The `_esm` of the widget: finds the server, loads the map's code once for the page, and hands over. */

import { type Bundle, loadBundle } from "./link/bundle";
import { CommServer } from "./link/comm";
import { connect, NoServerError, readPage, type Server } from "./link/server";
import type { MountedMap } from "./map";
import { listen, type Model, TRAITS, type Transport, write } from "./protocol";
import { StatusLine } from "./view/status";
import widgetCss from "./widget.css?raw";

/** One view of a model; built anew when the user retries. */
class WidgetView {
  readonly #end = new AbortController();
  readonly #host = document.createElement("div");
  readonly #status: StatusLine;
  readonly #comm: CommServer;
  #map: MountedMap | null = null;

  constructor(
    private readonly model: Model,
    parent: HTMLElement,
  ) {
    this.#host.className = "fused-map";
    this.#host.addEventListener("focusin", keepKeys);
    this.#status = new StatusLine(this.#host, () => (this.#map ? this.#map.retry() : this.start()));
    this.#comm = new CommServer(model, (note) => this.#tellComm(note), this.#end.signal);
    addStyle(parent, "fused-map-widget", widgetCss);
    parent.append(this.#host);
    const resize = () => this.#host.style.setProperty("height", String(model.get(TRAITS.height)));
    listen(model, `change:${TRAITS.height}`, resize, this.#end.signal);
    resize();
  }

  async start(): Promise<void> {
    try {
      await this.#connectAndMount();
    } catch (error) {
      this.#status.update({ note: error instanceof Error ? error.message : String(error), idle: true, offline: true });
    }
  }

  dispose(): void {
    this.#end.abort();
    this.#map?.dispose();
    this.#status.dispose();
    this.#host.remove();
  }

  async #connectAndMount(): Promise<void> {
    this.#status.update({ transport: "looking for the Jupyter server", note: "", offline: false });
    const server = await this.#connect();
    const sources = server ? [server, this.#comm] : [this.#comm];
    const bundle: Bundle = await loadBundle(String(this.model.get(TRAITS.bundleHash)), sources);
    if (this.#end.signal.aborted) return;
    const reconnect = () => {
      this.#map?.dispose();
      this.#map = null;
      this.start();
    };
    this.#map = bundle.mount({
      model: this.model,
      host: this.#host,
      status: this.#status,
      server,
      reconnect,
      addStyle,
    });
  }

  /** The first way that works, or the one that Python says; null where that does not work. */
  async #connect(): Promise<Server | null> {
    const wanted = this.model.get(TRAITS.wantedTransport) as Transport | undefined;
    if (wanted === "comm") return this.#takeComm("it was asked for");
    const explicit = String(this.model.get(TRAITS.serverUrl) ?? "");
    const kernelId = String(this.model.get(TRAITS.kernelId));
    try {
      const server = await connect(explicit, kernelId, readPage(), this.#end.signal);
      this.#tellTransport(`HTTP via ${server.path}`, false);
      return server;
    } catch (error) {
      if (!(error instanceof NoServerError)) throw error;
      if (wanted !== "http") return this.#takeComm(error.message);
      this.#tellTransport(`no Jupyter server found: ${error.message}`, true);
      return null;
    }
  }

  #takeComm(reason: string): Server {
    this.#tellTransport(`comm, because ${reason}`, false);
    return this.#comm;
  }

  #tellTransport(transport: string, offline: boolean): void {
    if (this.#end.signal.aborted) return;
    this.#status.update({ transport, offline });
    write(this.model, TRAITS.transport, transport);
  }

  /** What keeps the kernel from answering is said for as long as it lasts. */
  #tellComm(note: string): void {
    const transport = String(this.model.get(TRAITS.transport));
    if (!this.#end.signal.aborted) this.#status.update({ transport: note ? `${transport} · ${note}` : transport });
  }
}

/** JupyterLab takes the arrow keys from whatever has the focus in a notebook, to fold headings, unless that says no. */
function keepKeys({ target }: FocusEvent): void {
  if (target instanceof HTMLElement) target.dataset.lmSuppressShortcuts = "true";
}

/** A style sheet, once for the document, or for the shadow root that the widget is in. */
function addStyle(near: HTMLElement, id: string, css: string): void {
  const root = near.getRootNode();
  const home = root instanceof ShadowRoot ? root : document.head;
  if (home.querySelector(`style[data-fused="${id}"]`)) return;
  const style = document.createElement("style");
  style.dataset.fused = id;
  style.textContent = css;
  home.append(style);
}

/** anywidget gives a module two seconds, so nothing is awaited here. */
function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = new WidgetView(model, el);
  view.start();
  return () => view.dispose();
}

export default { render };
