import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CommServer } from "../src/link/comm";
import type { CustomMessage } from "../src/protocol";
import { StubModel } from "./stub";

const ROOT = "https://kernel.invalid/";

class Rig {
  readonly model = new StubModel();
  readonly end = new AbortController();
  readonly notes: string[] = [];
  readonly server = new CommServer(this.model, (note) => this.notes.push(note), this.end.signal);

  status(status: string): void {
    Object.assign(this.model, { widget_manager: { kernel: { status } } });
  }

  requests(): CustomMessage[] {
    return this.model.sent.filter(({ kind }) => kind === "request");
  }

  /** The kernel answers the request for a path. */
  answer(path: string, status = 200, body = "", headers: Record<string, string> = {}): void {
    const asked = this.requests().findLast((message) => message.path === path);
    const content = { kind: "answer", request: asked?.request, status, headers };
    this.model.emit("msg:custom", content, [new DataView(new TextEncoder().encode(body).buffer)]);
  }

  sign(): void {
    for (const { request } of this.requests()) this.model.emit("msg:custom", { kind: "wait", request });
  }
}

/** Lets what was asked for be sent. */
const turn = () => vi.advanceTimersByTimeAsync(0);

describe("CommServer", () => {
  let rig: Rig;

  beforeEach(() => {
    vi.useFakeTimers();
    rig = new Rig();
  });
  afterEach(() => {
    rig.end.abort();
    vi.useRealTimers();
  });

  it("sends the path below the root and gives the answer as a Response", async () => {
    const asking = rig.server.fetch(`${ROOT}fused/run/tiles/u/1/2/3.png?n=%C3%BC`, {
      headers: { Accept: "image/png" },
    });
    await turn();
    rig.answer("fused/run/tiles/u/1/2/3.png?n=%C3%BC", 200, "tile", { "Content-Type": "image/png" });

    const response = await asking;

    expect([response.status, response.headers.get("Content-Type"), await response.text()]).toEqual([
      200,
      "image/png",
      "tile",
    ]);
    const sent = new Headers(rig.requests()[0]?.headers);
    expect([sent.get("Accept"), sent.get("X-Fused-Client")]).toEqual(["image/png", rig.server.client]);
  });

  it.each([204, 422, 503])("passes on a status of %i", async (status) => {
    const asking = rig.server.fetch(`${ROOT}a`);
    await turn();
    rig.answer("a", status, status === 204 ? "" : '{"error":"KeyError"}', { "Retry-After": "2" });

    const response = await asking;

    expect([response.status, response.headers.get("Retry-After")]).toEqual([status, "2"]);
  });

  it("has at most six under way, and sends the newest first", async () => {
    const all = Array.from({ length: 9 }, (_, i) => rig.server.fetch(`${ROOT}${i}`));
    await turn();

    expect(rig.requests().map(({ path }) => path)).toEqual(["8", "7", "6", "5", "4", "3"]);

    const late = rig.server.fetch(`${ROOT}late`);
    rig.answer("8");
    await turn();

    expect(rig.requests().at(-1)?.path).toBe("late");
    for (const path of ["7", "6", "5", "4", "3", "late"]) rig.answer(path);
    await turn();
    for (const path of ["2", "1", "0"]) rig.answer(path);
    expect((await Promise.all([...all, late])).map(({ status }) => status)).toEqual(Array(10).fill(200));
  });

  it("cancels what is aborted: in the kernel if it was sent, else without a word", async () => {
    const aborts = Array.from({ length: 8 }, () => new AbortController());
    const outcomes = aborts.map(({ signal }, i) =>
      rig.server.fetch(`${ROOT}${i}`, { signal }).then(
        () => "answered",
        (error: Error) => error.name,
      ),
    );
    await turn();

    aborts[0]?.abort();
    aborts[7]?.abort();
    await turn();

    const sent = rig.requests().find(({ path }) => path === "7");
    expect(rig.model.sent.filter(({ kind }) => kind === "cancel")).toEqual([
      { kind: "cancel", request: sent?.request },
    ]);
    expect(await outcomes[0]).toBe("AbortError");
    expect(await outcomes[7]).toBe("AbortError");
    expect(rig.requests().map(({ path }) => path)).toEqual(["7", "6", "5", "4", "3", "2", "1"]);
  });

  it("asks a silent kernel twice, and then says so as the server would", async () => {
    const asking = rig.server.fetch(`${ROOT}a`);
    await vi.advanceTimersByTimeAsync(31_000);
    const [first, second] = rig.requests();
    expect(second?.request).toBe(first?.request);

    await vi.advanceTimersByTimeAsync(31_000);

    const response = await asking;
    expect([response.status, response.headers.get("Retry-After")]).toEqual([503, "5"]);
    expect(await response.json()).toMatchObject({
      type: "HostLostError",
      error: expect.stringContaining("60 seconds"),
    });
    expect(rig.requests()).toHaveLength(2);
    expect(rig.notes).toEqual(["the kernel does not answer; it may be running a cell"]);
  });

  it("waits as long as the kernel says that the run goes on", async () => {
    const asking = rig.server.fetch(`${ROOT}a`);
    for (let second = 0; second < 100; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      rig.sign();
    }
    rig.answer("a");

    expect((await asking).status).toBe(200);
    expect(rig.requests()).toHaveLength(1);
    expect(rig.notes).toEqual([]);
  });

  it("waits for a cell that runs, says so, and stops saying so", async () => {
    rig.status("busy");
    const asking = rig.server.fetch(`${ROOT}a`);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(rig.requests()).toHaveLength(1);
    expect(rig.notes).toEqual(["tiles wait for the running cell"]);

    rig.answer("a");

    expect((await asking).status).toBe(200);
    expect(rig.notes.at(-1)).toBe("");
  });

  it.each([
    ["its comm is closed", (rig: Rig) => rig.model.emit("comm_live_update")],
    ["it died", (rig: Rig) => rig.status("dead")],
    [
      "nothing can be sent",
      (rig: Rig) => {
        rig.model.send = () => {
          throw new Error("Canceled");
        };
      },
    ],
  ])("says that the kernel is gone: %s", async (_how, lose) => {
    const asking = rig.server.fetch(`${ROOT}a`);
    await turn();
    lose(rig);
    const next = rig.server.fetch(`${ROOT}b`);
    await vi.advanceTimersByTimeAsync(1000);

    for (const response of [await asking, await next]) {
      expect([response.status, (await response.json()).error]).toEqual([
        503,
        expect.stringContaining("kernel is gone"),
      ]);
    }
    expect(rig.notes).toEqual(["the kernel is gone; run the map's cell again"]);
  });

  it("keeps what may be kept, and asks whether the rest still holds", async () => {
    const headers = { ETag: '"1"', "Cache-Control": "private, max-age=60, immutable" };
    const first = rig.server.fetch(`${ROOT}a`);
    await turn();
    rig.answer("a", 200, "tile", headers);
    await first;

    expect(await (await rig.server.fetch(`${ROOT}a`)).text()).toBe("tile");
    expect(rig.requests()).toHaveLength(1);

    await vi.advanceTimersByTimeAsync(61_000);
    const again = rig.server.fetch(`${ROOT}a`);
    await turn();
    expect(rig.requests().at(-1)?.headers).toMatchObject({ "If-None-Match": '"1"' });
    rig.answer("a", 304, "", headers);

    expect(await (await again).text()).toBe("tile");
    expect((await rig.server.fetch(`${ROOT}a`)).status).toBe(200);
    expect(rig.requests()).toHaveLength(2);
  });

  it("ignores answers to other views of the same widget", async () => {
    const other = new CommServer(rig.model, () => {}, rig.end.signal);
    const mine = rig.server.fetch(`${ROOT}a`);
    const theirs = other.fetch(`${ROOT}a`);
    await turn();
    rig.answer("a", 200, "theirs");

    expect(await (await theirs).text()).toBe("theirs");
    rig.model.emit("msg:custom", { kind: "answer", request: rig.requests()[0]?.request, status: 200, headers: {} }, []);
    expect((await mine).status).toBe(200);
  });

  it("leaves no listener and no clock behind", async () => {
    rig.server.fetch(`${ROOT}a`);
    await turn();
    rig.end.abort();

    expect(rig.model.listeners("msg:custom")).toBe(0);
    expect(rig.model.listeners("comm_live_update")).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
