import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type State, TopView } from "../src/top";
import { StubModel } from "./stub";

const RUN = "0123456789ab";
const STATE: State = {
  summary: "1 of 2 workers busy",
  tables: [
    { title: "runs", columns: ["run", "UDF"], rows: [{ cells: [RUN, "<b>nap</b>"], run: RUN }] },
    { title: "last errors", columns: ["at"], rows: [] },
  ],
};

function page(root: string | null): void {
  document.body.innerHTML = "";
  if (root) document.body.dataset.baseUrl = root;
  else delete document.body.dataset.baseUrl;
}

describe("TopView", () => {
  let model: StubModel;
  let view: TopView;
  const host = () => document.querySelector<HTMLElement>(".fused-top") as HTMLElement;

  function open(root: string | null = null): void {
    page(root);
    model = new StubModel({ state: STATE, kernel_id: "k1" });
    view = new TopView(model, document.body);
  }

  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    view.dispose();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("draws the tables that have rows, as text", () => {
    open();
    expect(host().textContent).toContain("1 of 2 workers busy");
    expect([...host().querySelectorAll("caption")].map((caption) => caption.textContent)).toEqual(["runs"]);
    expect([...host().querySelectorAll("td")].slice(0, 2).map((cell) => cell.textContent)).toEqual([RUN, "<b>nap</b>"]);
    expect(host().querySelector("b")).toBeNull();
  });

  it("says that somebody looks, until it is closed", () => {
    open();
    vi.advanceTimersByTime(11_000);
    expect(model.sent.map(({ kind }) => kind)).toEqual(["here", "here", "here"]);
    view.dispose();
    vi.advanceTimersByTime(60_000);
    expect(model.sent.slice(3).map(({ kind }) => kind)).toEqual(["gone"]);
    open(); // for afterEach
  });

  it("says when the kernel has nothing new to say", () => {
    open();
    vi.advanceTimersByTime(12_000);
    expect(host().dataset.stale).toBe("true");
    expect(host().querySelector("[role=status]")?.textContent).toBe("no news for 12 s");
    model.emit("change:state");
    expect(host().dataset.stale).toBe("false");
    expect(host().querySelector("[role=status]")?.textContent).toBe("");
  });

  it("stops a run by way of the server, whatever the kernel does", async () => {
    const fetch = vi.fn(async (_url: string, init: RequestInit) =>
      init.method === "DELETE" ? new Response(null, { status: 202 }) : Response.json({ kernel: "k1" }),
    );
    vi.stubGlobal("fetch", fetch);
    open("/user/ana/");
    host().querySelector("button")?.click();
    expect(host().querySelector("button")?.textContent).toBe("stopping");
    expect(host().querySelector("button")?.disabled).toBe(true);
    await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(2));
    expect(fetch.mock.calls[1]?.[0]).toMatch(new RegExp(`/user/ana/fused/runs/${RUN}$`));
    expect(model.sent.map(({ kind }) => kind)).toEqual(["here"]);
  });

  it("stops a run by way of the kernel where there is no server", async () => {
    open();
    host().querySelector("button")?.click();
    await vi.waitFor(() => expect(model.sent.at(-1)).toEqual({ kind: "stop", run: RUN }));
  });
});
