import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect, HttpServer, NoServerError, type Page, readPage, resolveRoot } from "../src/link/server";

const HOST = "https://hub.example";

function page(values: Partial<Page> = {}): Page {
  return {
    href: `${HOST}/user/ana/lab/tree/a.ipynb?reset`,
    baseUrl: "/user/ana/",
    bodyBaseUrl: null,
    token: "secret",
    cookie: () => "a=1; _xsrf=2|x",
    ...values,
  };
}

function answer(status: number, body: unknown = {}): Response {
  return new Response(JSON.stringify(body), { status });
}

describe("resolveRoot", () => {
  it.each([
    ["", "/", null, `${HOST}/`],
    ["", "/user/ana/", null, `${HOST}/user/ana/`],
    ["", null, "/voila", `${HOST}/voila/`],
    ["", "/user/ana/", "/other/", `${HOST}/user/ana/`],
    ["http://localhost:8888/x?token=t#h", "/user/ana/", null, "http://localhost:8888/x/"],
    ["", "/a%40b/", null, `${HOST}/a%40b/`],
  ])("explicit %j, page config %j, body %j give %s", (explicit, baseUrl, bodyBaseUrl, root) => {
    expect(resolveRoot(explicit, page({ baseUrl, bodyBaseUrl }))).toBe(root);
  });

  it("is null where the page names none", () => {
    expect(resolveRoot("", page({ baseUrl: null }))).toBeNull();
  });
});

describe("readPage", () => {
  afterEach(() => {
    document.body.innerHTML = "";
  });

  it("reads JupyterLab's config", () => {
    document.body.innerHTML =
      '<script id="jupyter-config-data" type="application/json">{"baseUrl":"/x/","token":"t"}</script>';
    expect(readPage()).toMatchObject({ baseUrl: "/x/", token: "t" });
  });

  it("reads the body where there is no config, and takes broken config for none", () => {
    document.body.dataset.baseUrl = "/y/";
    document.body.innerHTML = '<script id="jupyter-config-data" type="application/json">{oops</script>';
    expect(readPage()).toMatchObject({ baseUrl: null, bodyBaseUrl: "/y/", token: "" });
  });
});

describe("headers", () => {
  const server = new HttpServer(`${HOST}/user/ana/`, page());

  it("has the XSRF cookie's value under the root", () => {
    expect(server.headers(`${HOST}/user/ana/fused/ping`)).toMatchObject({ "X-XSRFToken": "2|x" });
  });

  it("names the map that asks, by the same name each time", () => {
    const client = () => server.headers(`${HOST}/user/ana/fused/run/tiles/u/0/0/0`)["X-Fused-Client"];
    expect(client()).toMatch(/^[0-9a-f]{16}$/);
    expect(client()).toBe(server.client);
    expect(new HttpServer(`${HOST}/user/ana/`, page()).client).not.toBe(server.client);
  });

  it.each([
    `${HOST}/user/bob/fused/ping`,
    `${HOST}/user/ana/../bob/fused/ping`,
    "https://tiles.example/user/ana/1/2/3.png",
    "https://hub.example.evil/user/ana/",
  ])("has nothing for %s", (url) => {
    expect(server.headers(url)).toEqual({});
  });

  it("has nothing for a root of another origin", () => {
    expect(new HttpServer("http://localhost:8888/", page()).headers("http://localhost:8888/fused/ping")).toEqual({});
  });
});

describe("fetch", () => {
  const fetches = vi.fn<typeof fetch>();

  beforeEach(() => {
    fetches.mockReset();
    vi.stubGlobal("fetch", fetches);
  });
  afterEach(() => vi.unstubAllGlobals());

  it.each([401, 403])("answers %i with the token, in a header, from then on", async (status) => {
    fetches.mockImplementation(async (_url, init) =>
      answer(new Headers(init?.headers).has("Authorization") ? 200 : status),
    );
    const server = new HttpServer(`${HOST}/user/ana/`, page());

    expect((await server.fetch(`${HOST}/user/ana/a`)).status).toBe(200);
    expect((await server.fetch(`${HOST}/user/ana/b`)).status).toBe(200);

    expect(fetches.mock.calls.map(([url]) => url)).toEqual(["a", "a", "b"].map((name) => `${HOST}/user/ana/${name}`));
    expect(new Headers(fetches.mock.calls[2]?.[1]?.headers).get("Authorization")).toBe("token secret");
  });

  it("does not try twice without a token", async () => {
    fetches.mockImplementation(async () => answer(403));
    const server = new HttpServer(`${HOST}/user/ana/`, page({ token: "" }));

    expect((await server.fetch(`${HOST}/user/ana/a`)).status).toBe(403);

    expect(fetches).toHaveBeenCalledTimes(1);
  });
});

describe("connect", () => {
  const fetches = vi.fn<typeof fetch>();

  beforeEach(() => {
    fetches.mockReset();
    vi.stubGlobal("fetch", fetches);
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  async function outcome(values: Partial<Page> = {}): Promise<string> {
    const end = new AbortController();
    const connecting = connect("", "k/1", page(values), end.signal).then(
      (server) => server.root,
      (error: unknown) => (error instanceof NoServerError ? error.message : String(error)),
    );
    await vi.runAllTimersAsync();
    return connecting;
  }

  it("asks for this kernel and takes its answer", async () => {
    fetches.mockImplementation(async () => answer(200, { kernel: "k/1", alive: true, version: "1" }));

    expect(await outcome()).toBe(`${HOST}/user/ana/`);

    expect(fetches.mock.calls[0]?.[0]).toBe(`${HOST}/user/ana/fused/ping?kernel=k%2F1`);
  });

  it("tries three times", async () => {
    fetches.mockRejectedValueOnce(new TypeError("offline")).mockRejectedValueOnce(new TypeError("offline"));
    fetches.mockImplementation(async () => answer(200, { kernel: "k/1" }));

    expect(await outcome()).toBe(`${HOST}/user/ana/`);

    expect(fetches).toHaveBeenCalledTimes(3);
  });

  it("waits for a kernel that is just starting", async () => {
    for (let i = 0; i < 4; i++) fetches.mockResolvedValueOnce(answer(200, { kernel: "k/1", alive: false }));
    fetches.mockImplementation(async () => answer(200, { kernel: "k/1", alive: true }));

    expect(await outcome()).toBe(`${HOST}/user/ana/`);
  });

  it.each([
    [answer(404), "/user/ana/ has no fused_jupyter extension (404)"],
    [answer(403), "/user/ana/ refused this page; is it logged in?"],
    [answer(500), "/user/ana/ answered 500"],
    [answer(200, { kernel: "other" }), "/user/ana/ answered for another kernel"],
    [answer(200, { kernel: "k/1", alive: false }), "/user/ana/ does not reach this kernel"],
  ])("says why not", async (response, message) => {
    fetches.mockImplementation(async () => response.clone());

    expect(await outcome()).toBe(message);
  });

  it("does not guess where the page names no server", async () => {
    expect(await outcome({ baseUrl: null })).toBe("this page names no Jupyter server");

    expect(fetches).not.toHaveBeenCalled();
  });
});
