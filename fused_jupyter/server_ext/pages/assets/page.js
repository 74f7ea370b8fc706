// A page of one UDF: its form, its result, its snippets, its map. No library, nothing from elsewhere.
const udf = JSON.parse(document.getElementById("udf").textContent);
const form = document.querySelector("form");
const result = document.getElementById("result");
const status = document.getElementById("status");
const CLIENT = `page-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
const SHOWN_ROWS = 100;
const SHOWN_LETTERS = 100_000;
let running = null;
let kept = "";
let map = null;

// -- the form

const fields = [...form.querySelectorAll("[data-parameter]")];
const spelled = (field) => (field.type === "checkbox" ? String(field.checked) : field.value);

/** Only what differs from the default: addresses stay short, and a new default counts. */
function search(also = {}, without = null) {
  const found = new URLSearchParams();
  for (const field of fields) {
    if (field.name === without) continue;
    const value = spelled(field);
    if (value !== field.dataset.initial || field.required) found.append(field.name, value);
  }
  for (const [name, value] of Object.entries(also)) found.set(name, value);
  const text = found.toString();
  return text ? `?${text}` : "";
}

/** A page address may carry arguments, so that a filled form can be sent on. */
function restore() {
  const given = new URLSearchParams(location.search);
  for (const field of fields) {
    if (!given.has(field.name)) continue;
    const value = given.get(field.name);
    if (field.type === "checkbox") field.checked = value === "true";
    else field.value = value;
  }
  if (given.has("format")) form.elements["result-format"].value = given.get("format");
}

const chosen = () => form.elements["result-format"].value;
const absolute = (path) => new URL(path, location.href).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
const fileAddress = (extension) => absolute(udf.file) + (extension ? `.${extension}` : "") + search();
const tileAddress = (extension) => `${absolute(udf.tiles)}/{z}/{x}/{y}.${extension}${searchOfTiles()}`;
/** Where a tile is says its address. */
const searchOfTiles = (also = {}) => search(also, udf.spatial);

function follow() {
  const address = fileAddress(chosen());
  const link = document.getElementById("address");
  link.href = address;
  link.textContent = address;
  showSnippet();
}

// -- running

/** JupyterHub refuses a cookie without the XSRF header, even for GET; clients take turns at the workers. */
function ask(address, signal) {
  const headers = { "X-Fused-Client": CLIENT };
  const xsrf = /(?:^|;\s*)_xsrf=([^;]*)/.exec(document.cookie);
  if (xsrf && udf.is_owner) headers["X-XSRFToken"] = decodeURIComponent(xsrf[1]);
  return fetch(address, { signal, headers });
}

async function run() {
  running?.abort();
  const abort = new AbortController();
  running = abort;
  const address = fileAddress(chosen());
  status.textContent = "running …";
  result.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    if (chosen() === "html") {
      show(frame(address));
      status.textContent = "shown below, in a frame without any rights";
      return;
    }
    const answer = await ask(address, abort.signal);
    const body = await answer.blob();
    const seconds = (performance.now() - started) / 1000;
    status.textContent = describe(answer, body, seconds);
    show(
      ...(answer.ok ? await present(answer, body, address) : [failure(await body.text(), answer.status)]),
      ...printed(answer),
    );
  } catch (error) {
    if (abort.signal.aborted) return;
    status.textContent = "";
    show(failure(JSON.stringify({ type: "no answer", error: String(error.message) }), 0));
  } finally {
    if (running === abort) result.removeAttribute("aria-busy");
  }
}

function describe(answer, body, seconds) {
  const kind = (answer.headers.get("Content-Type") ?? "").split(";")[0];
  const parts = [answer.status, kind, size(body.size), `${seconds.toFixed(seconds < 1 ? 3 : 1)} s`];
  if (answer.headers.has("x-fused-cached")) parts.push("kept from an earlier run");
  return parts.filter(Boolean).join(" · ");
}

const size = (count) =>
  count < 1000 ? `${count} bytes` : count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;

async function present(answer, body, address) {
  const kind = (answer.headers.get("Content-Type") ?? "").split(";")[0];
  if (answer.status === 204 || body.size === 0) return [text("nothing")];
  if (kind.startsWith("image/") && kind !== "image/tiff") return [picture(body)];
  if (kind === "text/html") return [frame(address)];
  if (kind === "text/csv") return [table(rowsOfCsv(await body.text()))];
  if (kind.endsWith("json")) return presentJson(await body.text());
  if (kind.startsWith("text/") || kind.endsWith("xml")) return [text(await body.text())];
  const link = element("a", "save the file");
  link.href = address;
  link.download = "";
  return udf.first === "json" && !chosen() ? [link, preview()] : [link];
}

/** A table comes as Parquet by itself, which no browser shows; it is run again only if somebody wants to see it. */
function preview() {
  const button = element("button", "show as JSON");
  button.type = "button";
  button.addEventListener("click", () => {
    form.elements["result-format"].value = "json";
    follow();
    void run();
  });
  return button;
}

function presentJson(source) {
  const value = JSON.parse(source);
  const records =
    value?.type === "FeatureCollection"
      ? value.features.map(({ properties, geometry }) => ({ ...properties, geometry: geometry?.type }))
      : value;
  const pretty = text(JSON.stringify(value, null, 2));
  const isTable =
    Array.isArray(records) &&
    records.length > 0 &&
    records.every((row) => row && typeof row === "object" && !Array.isArray(row));
  if (!isTable) return [pretty];
  const names = [...new Set(records.slice(0, SHOWN_ROWS).flatMap(Object.keys))];
  return [table([names, ...records.map((row) => names.map((name) => row[name]))])];
}

function picture(body) {
  const image = document.createElement("img");
  if (kept) URL.revokeObjectURL(kept);
  kept = URL.createObjectURL(body);
  image.src = kept;
  image.alt = `the result of ${udf.name}`;
  return image;
}

/** What a UDF writes as HTML has no rights: not even the frame's address may have the page's origin. */
function frame(address) {
  const inner = document.createElement("iframe");
  inner.setAttribute("sandbox", "allow-scripts allow-popups allow-forms");
  inner.title = `the result of ${udf.name}`;
  inner.src = address;
  return inner;
}

function table([names, ...rows]) {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of names) head.append(Object.assign(element("th", name), { scope: "col" }));
  const body = made.createTBody();
  for (const row of rows.slice(0, SHOWN_ROWS)) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      cell.textContent =
        value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      if (typeof value === "number") cell.className = "number";
    }
  }
  const box = element("div");
  box.className = "scroll";
  box.tabIndex = 0;
  box.append(made);
  const more = rows.length > SHOWN_ROWS ? `, the first ${SHOWN_ROWS} are shown` : "";
  const all = element("div");
  all.append(element("p", `${rows.length} rows${more}`), box);
  return all;
}

function rowsOfCsv(source) {
  const rows = [[]];
  const pattern = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g;
  for (const [, cell, end] of source.matchAll(pattern)) {
    rows.at(-1).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "") break;
    if (end !== ",") rows.push([]);
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}

/** An error of ours, or, where a proxy in between answered, whatever it said. */
function failure(body, code) {
  let error = { type: `HTTP ${code}`, error: body.slice(0, 2000) };
  try {
    error = { ...error, ...JSON.parse(body) };
  } catch {}
  const box = element("div");
  box.className = "failed";
  box.setAttribute("role", "alert");
  box.append(element("strong", error.type), element("div", error.error));
  if (error.traceback) box.append(text(error.traceback));
  const field = fields.find(({ name }) => name === error.parameter);
  field?.focus();
  return box;
}

/** What the UDF printed; only its owner is told. */
function printed(answer) {
  try {
    const { stdout, stderr } = JSON.parse(answer.headers.get("x-fused-metadata") ?? "{}");
    return [stdout, stderr].filter(Boolean).map(text);
  } catch {
    return [];
  }
}

const show = (...children) => result.replaceChildren(...children);
const element = (name, content = "") => Object.assign(document.createElement(name), { textContent: content });

function text(content) {
  const isLong = content.length > SHOWN_LETTERS;
  const made = element(
    "pre",
    isLong ? `${content.slice(0, SHOWN_LETTERS)}\n… (${content.length} characters)` : content,
  );
  made.tabIndex = 0;
  return made;
}

// -- snippets

const literal = (value) => JSON.stringify(value);
const shell = (value) => `'${value.replaceAll("'", "'\\''")}'`;
const header = "Authorization: token YOUR_TOKEN";
const forFile = (fallback) => fileAddress(chosen() || fallback);
const SNIPPETS = {
  cURL: () =>
    `curl -f ${udf.is_owner ? `-H ${shell(header)} ` : ""}-o ${shell(`${udf.name}.${chosen() || udf.first}`)} \\\n  ${shell(forFile(udf.first))}`,
  Python: () => {
    const login = udf.is_owner ? ', headers={"Authorization": "token YOUR_TOKEN"}' : "";
    const last = (chosen() || udf.first) === "json" ? "response.json()" : "response.content";
    return `import requests\n\nresponse = requests.get(\n    ${literal(forFile(udf.first))}${login}, timeout=120\n)\nresponse.raise_for_status()\nresult = ${last}`;
  },
  JavaScript: () => {
    const login = udf.is_owner ? ',\n  { headers: { Authorization: "token YOUR_TOKEN" } }' : "";
    const last = (chosen() || udf.first) === "json" ? "json" : "blob";
    return `const response = await fetch(\n  ${literal(forFile(udf.first))}${login}\n);\nif (!response.ok) throw new Error(await response.text());\nconst result = await response.${last}();`;
  },
  "Google Sheets": () =>
    udf.is_owner
      ? "Google Sheets sends no login. Share the UDF with a token,\nand open the page of the token."
      : `=IMPORTDATA("${fileAddress("csv").replaceAll('"', '""')}")`,
};
const OF_TILES = {
  MapLibre: () =>
    `map.addSource("udf", { type: "raster", tileSize: 256,\n  tiles: [${literal(tileAddress("png"))}] });\nmap.addLayer({ id: "udf", type: "raster", source: "udf" });\n\n// features instead of pictures\nmap.addSource("features", { type: "vector",\n  tiles: [${literal(tileAddress("mvt"))}] });\nmap.addLayer({ id: "features", type: "fill", source: "features",\n  "source-layer": "udf" });`,
  Leaflet: () => `L.tileLayer(${literal(tileAddress("png"))},\n  { maxZoom: ${udf.zooms[1]} }).addTo(map);`,
  QGIS: () =>
    `Layer > Add Layer > Add WMS/WMTS Layer > New\nURL  ${absolute(udf.wmts)}${searchOfTiles()}\n\nor Add XYZ Layer > New\nURL  ${tileAddress("png")}\n\nfeatures: Add Vector Tile Layer > New Generic Connection\nURL  ${tileAddress("mvt")}${udf.is_owner ? `\n\nIn all of them, Authentication: API header\n${header}` : ""}`,
};
if (udf.tiles) Object.assign(SNIPPETS, OF_TILES);

const tabs = document.querySelector('[role="tablist"]');
const code = document.getElementById("snippet");
let program = Object.keys(SNIPPETS)[0];

function showSnippet() {
  code.textContent = SNIPPETS[program]();
  for (const tab of tabs.children) {
    tab.setAttribute("aria-selected", String(tab.textContent === program));
    tab.tabIndex = tab.textContent === program ? 0 : -1;
  }
}

for (const name of Object.keys(SNIPPETS)) {
  const tab = element("button", name);
  tab.type = "button";
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "snippet");
  tab.addEventListener("click", () => {
    program = name;
    showSnippet();
  });
  tabs.append(tab);
}
tabs.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = [...tabs.children];
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  next.focus();
  next.click();
  event.preventDefault();
});

for (const button of document.querySelectorAll("button[data-copies]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies).textContent;
    try {
      await navigator.clipboard.writeText(source);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(document.getElementById(button.dataset.copies));
      button.textContent = "selected";
    }
    setTimeout(() => (button.textContent = "copy"), 1500);
  });
}

// -- map

/** The page that is all map, in a frame; it keeps its place when the form changes. */
function showMap() {
  document.getElementById("map-section").hidden = false;
  const address = absolute(udf.map) + searchOfTiles();
  document.getElementById("map-link").href = address;
  const place = map?.contentWindow?.location.hash ?? "";
  if (map) return map.contentWindow.location.replace(address + place);
  map = document.createElement("iframe");
  map.title = `map of ${udf.name}`;
  map.src = address;
  document.getElementById("map").append(map);
}

form.addEventListener("input", follow);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.replaceState(null, "", location.pathname + search(chosen() ? { format: chosen() } : {}));
  if (event.submitter?.id === "show-map") showMap();
  else {
    void run();
    if (map) showMap();
  }
});
restore();
follow();
document.documentElement.dataset.ready = "true";
