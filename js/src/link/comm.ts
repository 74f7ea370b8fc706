/**
 * A server of ours that is the kernel itself, reached by the widget's own messages: for pages that know no Jupyter
 * server, or one without our extension, as in VS Code and Colab. The twin is fused_jupyter/widgets/_link.py.
 *
 * Messages get lost, without a word: JupyterLab sends them to a thread that may have gone. And a kernel may be running
 * a cell for an hour before it reads them. So one that stays silent is asked twice, and waited for while it is busy.
 */

import { type CustomMessage, HEADERS, listen, MESSAGES, type Model } from "../protocol";
import { type Answer, KeptAnswers } from "./kept";
import { randomName, type Server } from "./server";

const IN_FLIGHT = 6; // as many as a browser sends to one HTTP server; the others can still be cancelled for nothing
const SILENCE = 30_000; // ms without a word, after which a request is sent again, or given up
const QUIET = 3_000; // ms without a word, after which the user is told; the kernel gives one every second
const LOOK = 500; // ms
const RETRY_AFTER = 5; // seconds
const GONE_NOTE = "the kernel is gone; run the map's cell again";
const GONE = new Set(["dead", "restarting", "autorestarting", "terminating"]);

interface Flight {
  readonly name: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly settle: (answer: Answer) => void;
  sent: number;
  heardAt: number;
}

export class CommServer implements Server {
  readonly client = randomName();
  /** Nobody can fetch under it by mistake. */
  readonly root = "https://kernel.invalid/";
  readonly path = "/";
  readonly #kept = new KeptAnswers();
  /** What waits to be sent; the newest comes last, and is sent first. */
  readonly #waiting: Flight[] = [];
  readonly #flights = new Map<string, Flight>();
  #count = 0;
  #clock: ReturnType<typeof setInterval> | null = null;
  #isGone = false;
  #note = "";

  /** `tell` gets what keeps the kernel from answering; an empty text where nothing does any more. */
  constructor(
    private readonly model: Model,
    private readonly tell: (note: string) => void,
    signal: AbortSignal,
  ) {
    listen(model, "msg:custom", (content, buffers) => this.#hear(content, buffers), signal);
    listen(model, "comm_live_update", () => this.#lose(), signal);
    signal.addEventListener("abort", () => this.#stopClock(), { once: true });
  }

  /** Nothing is fetched under this root by anybody else. */
  headers(_url: string): Record<string, string> {
    return {};
  }

  /** The kernel's answer as a Response. Rejects only when the signal aborts; what goes wrong is an answer too. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    if (!url.startsWith(this.root)) return fetch(url, init);
    if ((init.method ?? "GET") !== "GET") return toResponse(refusal(405, "the kernel answers GET only", "AccessError"));
    init.signal?.throwIfAborted();
    const path = url.slice(this.root.length);
    const isKept = init.cache !== "no-store" && init.cache !== "reload";
    const fresh = isKept ? this.#kept.fresh(path) : null;
    if (fresh) return toResponse(fresh);
    const etag = isKept ? this.#kept.etag(path) : null;
    const headers = { ...browserHeaders(), ...plain(init.headers), [HEADERS.client]: this.client };
    const answer = await this.#ask(path, etag ? { ...headers, "If-None-Match": etag } : headers, init.signal ?? null);
    return toResponse(isKept ? this.#kept.settle(path, answer) : answer);
  }

  #ask(path: string, headers: Record<string, string>, signal: AbortSignal | null): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const name = `${this.client}-${this.#count++}`;
      const leave = () => {
        this.#drop(flight);
        reject(signal?.reason);
      };
      const settle = (answer: Answer) => {
        signal?.removeEventListener("abort", leave);
        resolve(answer);
      };
      const flight: Flight = { name, path, headers, settle, sent: 0, heardAt: 0 };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(flight);
      // After the caller's turn: of the tiles that a map asks for at once, the last is to be the first.
      queueMicrotask(() => this.#pump());
    });
  }

  #pump(): void {
    while (this.#flights.size < IN_FLIGHT) {
      const next = this.#waiting.pop();
      if (!next) break;
      this.#flights.set(next.name, next);
      this.#send(next);
    }
    if (this.#flights.size > 0) this.#clock ??= setInterval(() => this.#look(), LOOK);
    else this.#stopClock();
  }

  #send(flight: Flight): void {
    const { name, path, headers } = flight;
    flight.sent += 1;
    flight.heardAt = Date.now();
    try {
      if (this.#isGone) this.#land(flight, lost(GONE_NOTE));
      else this.model.send({ kind: MESSAGES.request, request: name, path, headers });
    } catch {
      this.#lose(); // its connection is closed for good
    }
  }

  #hear(content: CustomMessage, buffers: DataView<ArrayBuffer>[]): void {
    if (content.kind !== MESSAGES.answer && content.kind !== MESSAGES.wait) return;
    this.#isGone = false;
    this.#say("");
    const flight = this.#flights.get(content.request ?? "");
    if (!flight) return;
    flight.heardAt = Date.now();
    if (content.kind === MESSAGES.wait) return;
    const view = buffers?.[0];
    const body = view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array();
    this.#land(flight, { status: content.status ?? 502, headers: content.headers ?? {}, body });
  }

  #look(): void {
    const status = this.model.widget_manager?.kernel?.status ?? "";
    if (GONE.has(status)) this.#lose();
    for (const flight of [...this.#flights.values()]) {
      const silence = Date.now() - flight.heardAt;
      if (silence >= QUIET) {
        const busy = "tiles wait for the running cell";
        this.#say(status === "busy" ? busy : "the kernel does not answer; it may be running a cell");
      }
      if (silence < SILENCE) continue;
      if (status === "busy") flight.heardAt = Date.now() - QUIET;
      else if (flight.sent === 1) this.#send(flight);
      else this.#giveUp(flight);
    }
  }

  #giveUp(flight: Flight): void {
    const seconds = (2 * SILENCE) / 1000;
    const message = `the kernel gave no answer for ${seconds} seconds; it may be running a cell, else run the map's cell`;
    this.#cancel(flight);
    this.#land(flight, lost(message));
  }

  #lose(): void {
    this.#isGone = true;
    this.#say(GONE_NOTE);
    const all = [...this.#flights.values(), ...this.#waiting.splice(0)];
    for (const flight of all) this.#land(flight, lost(GONE_NOTE));
  }

  #land(flight: Flight, answer: Answer): void {
    this.#flights.delete(flight.name);
    flight.settle(answer);
    this.#pump();
  }

  #drop(flight: Flight): void {
    const place = this.#waiting.indexOf(flight);
    if (place >= 0) this.#waiting.splice(place, 1);
    if (!this.#flights.delete(flight.name)) return;
    this.#cancel(flight);
    this.#pump();
  }

  #cancel({ name }: Flight): void {
    if (this.#isGone) return;
    try {
      this.model.send({ kind: MESSAGES.cancel, request: name });
    } catch {
      this.#lose();
    }
  }

  #say(note: string): void {
    if (note === this.#note) return;
    this.#note = note;
    this.tell(note);
  }

  #stopClock(): void {
    if (this.#clock !== null) clearInterval(this.#clock);
    this.#clock = null;
  }
}

/** What a browser says of itself by HTTP, and a UDF may ask for. */
function browserHeaders(): Record<string, string> {
  return { "Accept-Language": (navigator.languages ?? []).join(","), "User-Agent": navigator.userAgent };
}

function plain(headers: HeadersInit | undefined): Record<string, string> {
  return Object.fromEntries(new Headers(headers));
}

function lost(error: string): Answer {
  const answer = refusal(503, error, "HostLostError");
  return { ...answer, headers: { ...answer.headers, "Retry-After": String(RETRY_AFTER) } };
}

/** An error as the server tells one. */
function refusal(status: number, error: string, type: string): Answer {
  const body = new TextEncoder().encode(JSON.stringify({ type, error, status }));
  return { status, headers: { "Content-Type": "application/json", "Cache-Control": "no-store" }, body };
}

function toResponse({ status, headers, body }: Answer): Response {
  const isBare = status === 204 || status === 205 || status === 304;
  return new Response(isBare ? null : body, { status, headers });
}
