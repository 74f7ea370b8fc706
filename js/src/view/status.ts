/** One line under the map that says what it does, how, and what failed. */

import type { TileFailure } from "../protocol";
import type { Progress } from "../tiles/progress";

const TICK = 200; // ms between two times shown while tiles are under way

export interface Status {
  /** How tiles travel, or why they cannot. */
  transport: string;
  loading: number;
  /** Of the tiles that are wanted now; null until the first is. */
  progress?: Progress | null;
  idle: boolean;
  failures: readonly TileFailure[];
  /** Anything that concerns the map as a whole. */
  note: string;
  /** Whether there is no server, which a later try may find. */
  offline: boolean;
}

/** The error and the line of an error answer; ours is JSON, a proxy's may be anything. */
export function readError(status: number, statusText: string, body: string): Pick<TileFailure, "error" | "line"> {
  try {
    const { error, line } = JSON.parse(body);
    if (typeof error === "string" && error) return { error, line: typeof line === "number" ? line : null };
  } catch {
    // Not JSON, so not from our server.
  }
  const text = status === 0 ? "the server asked this page to log in" : `HTTP ${status} ${statusText}`.trim();
  return { error: text, line: null };
}

/** `KeyError: 'mag' (line 5)`. */
export function errorText({ error, line }: Pick<TileFailure, "error" | "line">): string {
  return line === null ? error : `${error} (line ${line})`;
}

/** `2 tiles failed: KeyError: 'mag' (line 5)`, with the most frequent error. */
export function failureText(failures: readonly TileFailure[]): string {
  const counts = new Map<string, number>();
  for (const failure of failures) {
    const text = errorText(failure);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  if (!first) return "";
  const others = counts.size > 1 ? ` and ${plural(counts.size - 1, "other error")}` : "";
  const noun = failures.every(({ tile }) => tile === "") ? "file" : "tile";
  return `${plural(failures.length, noun)} failed: ${first[0]}${others}`;
}

/** The whole line. */
export function statusText(status: Status, now = performance.now()): string {
  const parts = [failureText(status.failures), status.note, ...activity(status, now), status.transport];
  return parts.filter(Boolean).join(" · ");
}

/** What screen readers are told: news, and not how a count rises. */
export function newsText({ failures, note, transport }: Pick<Status, "failures" | "note" | "transport">): string {
  return [failureText(failures), note, transport].filter(Boolean).join(" · ");
}

/** `12/20 tiles`, `0.8 s`; at the end `20 tiles in 1.4 s`, `12 cached`, `idle`. */
function activity({ loading, idle, progress }: Status, now: number): string[] {
  if (loading > 0 && !progress) return [`loading ${plural(loading, "tile")}`];
  if (!progress || progress.wanted === 0) return [idle ? "idle" : "loading"];
  const { wanted, done, cached, started, took } = progress;
  if (took === null) return [`${done}/${plural(wanted, "tile")}`, seconds(now - started)];
  const shares = [`${plural(wanted, "tile")} in ${seconds(took)}`, cached > 0 ? `${cached} cached` : ""];
  return [...shares, idle ? "idle" : "loading"];
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** The line in the page, and flags on the widget that tests wait for. */
export class StatusLine {
  #status: Status = { transport: "", loading: 0, idle: false, failures: [], note: "", offline: false };
  readonly #text = document.createElement("span");
  readonly #news = document.createElement("span");
  readonly #bar = document.createElement("div");
  readonly #retry = document.createElement("button");
  #tick: ReturnType<typeof setInterval> | null = null;

  constructor(
    private readonly host: HTMLElement,
    onRetry: () => void,
  ) {
    const line = document.createElement("div");
    line.className = "fused-status";
    // Screen readers announce every write to a live region: the line itself, whose counts run, is none.
    this.#news.className = "fused-hidden";
    this.#news.setAttribute("role", "status");
    this.#news.setAttribute("aria-live", "polite");
    this.#bar.className = "fused-progress";
    this.#retry.type = "button";
    this.#retry.textContent = "retry";
    this.#retry.addEventListener("click", onRetry);
    line.append(this.#text, this.#retry, this.#bar, this.#news);
    host.append(line);
    this.update({});
  }

  update(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
    const { idle, transport, failures, offline } = this.#status;
    const news = newsText(this.#status);
    if (this.#news.textContent !== news) this.#news.textContent = news;
    this.#draw();
    this.#retry.hidden = failures.length === 0 && !offline;
    this.host.dataset.idle = String(idle);
    this.host.dataset.transport = transport;
    this.host.dataset.failed = String(failures.length);
  }

  dispose(): void {
    if (this.#tick !== null) clearInterval(this.#tick);
    this.#tick = null;
  }

  /** The line and its bar; while tiles are under way, again and again, as the time goes on. */
  #draw(): void {
    const text = statusText(this.#status);
    if (this.#text.textContent !== text) this.#text.textContent = this.#text.title = text;
    const { progress } = this.#status;
    const isLoading = progress != null && progress.took === null;
    this.#bar.style.width = isLoading ? `${(100 * progress.done) / Math.max(1, progress.wanted)}%` : "0";
    if (!isLoading) this.dispose();
    else this.#tick ??= setInterval(() => this.#draw(), TICK);
  }
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
