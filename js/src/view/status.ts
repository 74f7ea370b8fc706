/** One line under the map that says what it does, how, and what failed. */

import type { TileFailure } from "../protocol";

export interface Status {
  /** How tiles travel, or why they cannot. */
  transport: string;
  loading: number;
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
  return `${plural(failures.length, "tile")} failed: ${first[0]}${others}`;
}

/** The whole line. */
export function statusText(status: Status): string {
  const activity = status.loading > 0 ? `loading ${plural(status.loading, "tile")}` : status.idle ? "idle" : "loading";
  return [failureText(status.failures), status.note, activity, status.transport].filter(Boolean).join(" · ");
}

/** The line in the page, and flags on the widget that tests wait for. */
export class StatusLine {
  #status: Status = { transport: "", loading: 0, idle: false, failures: [], note: "", offline: false };
  readonly #text = document.createElement("span");
  readonly #retry = document.createElement("button");

  constructor(
    private readonly host: HTMLElement,
    onRetry: () => void,
  ) {
    const line = document.createElement("div");
    line.className = "fused-status";
    this.#text.setAttribute("role", "status");
    this.#text.setAttribute("aria-live", "polite");
    this.#retry.type = "button";
    this.#retry.textContent = "retry";
    this.#retry.addEventListener("click", onRetry);
    line.append(this.#text, this.#retry);
    host.append(line);
    this.update({});
  }

  update(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
    const { idle, transport, failures, offline } = this.#status;
    const text = statusText(this.#status);
    // Screen readers announce every write, so equal text is not written again.
    if (this.#text.textContent !== text) this.#text.textContent = this.#text.title = text;
    this.#retry.hidden = failures.length === 0 && !offline;
    this.host.dataset.idle = String(idle);
    this.host.dataset.transport = transport;
    this.host.dataset.failed = String(failures.length);
  }
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
