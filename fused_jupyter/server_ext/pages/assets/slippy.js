// A map of tiles and nothing else: pictures as they come, GeoJSON drawn. Mouse, touch, wheel, keyboard.

const SIDE = 256;
const MOST_TILES = 200;
const AT_ONCE = 6;
const wrap = (x, count) => ((x % count) + count) % count;

/** Longitude and latitude in degrees → the unit square, y down. */
function project([longitude, latitude]) {
  const sine = Math.sin((Math.max(-85.0511, Math.min(85.0511, latitude)) * Math.PI) / 180);
  return [(longitude + 180) / 360, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
}

function unproject([x, y]) {
  return [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];
}

export class SlippyMap {
  #template = "";
  #tiles = new Map();
  #waiting = [];
  #loading = 0;
  #pointers = new Map();
  #frame = 0;

  /** @param {HTMLElement} box @param {{view: number[], zooms: number[], ask: (address: string, signal: AbortSignal) =>
   *   Promise<Response>, tell: (note: string) => void}} options */
  constructor(box, { view, zooms, ask, tell }) {
    this.box = box;
    this.ask = ask;
    this.zooms = zooms;
    this.tell = tell;
    this.center = project(view);
    this.zoom = Math.max(zooms[0], Math.min(zooms[1], view[2]));
    this.where = box.querySelector(".where");
    for (const button of box.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.#zoomBy(Number(button.dataset.zoom)));
    }
    box.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      box.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    box.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"])
      box.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    new ResizeObserver(() => this.#draw()).observe(box);
  }

  /** Shows the tiles of an address with `{z}`, `{x}` and `{y}`. */
  show(template) {
    this.#template = template;
    for (const key of [...this.#tiles.keys()]) this.#drop(key);
    this.tell("");
    this.#draw();
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#place());
  }

  #place() {
    const { clientWidth: width, clientHeight: height } = this.box;
    const count = 2 ** this.zoom;
    const left = this.center[0] * count * SIDE - width / 2;
    const top = this.center[1] * count * SIDE - height / 2;
    const wanted = new Set();
    for (
      let y = Math.max(0, Math.floor(top / SIDE));
      y <= Math.min(count - 1, Math.floor((top + height) / SIDE));
      y++
    ) {
      for (let x = Math.floor(left / SIDE); x <= Math.floor((left + width) / SIDE); x++) {
        const key = `${this.zoom}/${x}/${y}`;
        wanted.add(key);
        const tile = this.#tiles.get(key) ?? this.#add(key, [this.zoom, x, y]);
        tile.canvas.style.left = `${Math.round(x * SIDE - left)}px`;
        tile.canvas.style.top = `${Math.round(y * SIDE - top)}px`;
      }
    }
    for (const key of [...this.#tiles.keys()]) if (!wanted.has(key)) this.#drop(key);
    const [longitude, latitude] = unproject(this.center);
    this.where.textContent = `zoom ${this.zoom} · ${latitude.toFixed(3)}, ${longitude.toFixed(3)}`;
    this.#load();
  }

  #add(key, place) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE * ratio, height: SIDE * ratio });
    const tile = { canvas, place, abort: new AbortController() };
    this.#tiles.set(key, tile);
    if (this.#tiles.size <= MOST_TILES) this.#waiting.push(tile);
    this.box.prepend(canvas);
    return tile;
  }

  #drop(key) {
    const tile = this.#tiles.get(key);
    tile.abort.abort();
    tile.canvas.remove();
    this.#tiles.delete(key);
  }

  #load() {
    this.#waiting = this.#waiting.filter(({ abort }) => !abort.signal.aborted);
    while (this.#loading < AT_ONCE && this.#waiting.length) {
      this.#loading++;
      void this.#fill(this.#waiting.shift()).finally(() => {
        this.#loading--;
        this.box.dataset.idle = String(this.#loading === 0 && this.#waiting.length === 0);
        this.#load();
      });
    }
    this.box.dataset.idle = String(this.#loading === 0 && this.#waiting.length === 0);
  }

  async #fill({ canvas, place, abort }) {
    const [z, x, y] = place;
    const address = this.#template
      .replace("{z}", z)
      .replace("{x}", wrap(x, 2 ** z))
      .replace("{y}", y);
    try {
      const answer = await this.ask(address, abort.signal);
      if (answer.status === 204) return;
      if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `HTTP ${answer.status}`);
      const kind = answer.headers.get("Content-Type") ?? "";
      if (kind.includes("json")) return drawFeatures(canvas, await answer.json(), [z, wrap(x, 2 ** z), y]);
      const image = await createImageBitmap(await answer.blob());
      const brush = canvas.getContext("2d");
      brush.imageSmoothingEnabled = false;
      brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    } catch (error) {
      if (!abort.signal.aborted) this.tell(`a tile failed: ${error.message}`);
    }
  }

  #move(dx, dy) {
    const all = 2 ** this.zoom * SIDE;
    this.center = [wrap(this.center[0] + dx / all, 1), Math.max(0, Math.min(1, this.center[1] + dy / all))];
    this.#draw();
  }

  #zoomBy(step, at = [this.box.clientWidth / 2, this.box.clientHeight / 2]) {
    const zoom = Math.max(this.zooms[0], Math.min(this.zooms[1], this.zoom + step));
    if (zoom === this.zoom) return;
    const [dx, dy] = [at[0] - this.box.clientWidth / 2, at[1] - this.box.clientHeight / 2];
    this.#move(dx, dy);
    this.zoom = zoom;
    this.#move(-dx, -dy);
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before || this.#pointers.size !== 1) return;
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.#move(before[0] - event.clientX, before[1] - event.clientY);
  }

  #wheel(event) {
    event.preventDefault();
    const now = performance.now();
    if (now - (this.turned ?? 0) < 150) return;
    this.turned = now;
    const frame = this.box.getBoundingClientRect();
    this.#zoomBy(event.deltaY < 0 ? 1 : -1, [event.clientX - frame.left, event.clientY - frame.top]);
  }

  #key(event) {
    if (event.target !== this.box) return;
    const moves = { ArrowLeft: [-80, 0], ArrowRight: [80, 0], ArrowUp: [0, -80], ArrowDown: [0, 80] };
    const steps = { "+": 1, "=": 1, "-": -1 };
    if (moves[event.key]) this.#move(...moves[event.key]);
    else if (steps[event.key]) this.#zoomBy(steps[event.key]);
    else return;
    event.preventDefault();
  }
}

function drawFeatures(canvas, collection, [z, x, y]) {
  const brush = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const scale = canvas.width;
  const point = (place) => {
    const [u, v] = project(place);
    return [(u * 2 ** z - x) * scale, (v * 2 ** z - y) * scale];
  };
  const trace = (places) => {
    for (const [index, place] of places.entries()) {
      if (index) brush.lineTo(...point(place));
      else brush.moveTo(...point(place));
    }
  };
  const rings = (polygon) => {
    for (const ring of polygon) {
      trace(ring);
      brush.closePath();
    }
  };
  const each = (draw) => (parts) => {
    for (const part of parts) draw(part);
  };
  const dot = (place) => {
    const [u, v] = point(place);
    brush.moveTo(u + scale / 64, v);
    brush.arc(u, v, scale / 64, 0, 7);
  };
  const draw = {
    Point: dot,
    MultiPoint: each(dot),
    LineString: trace,
    MultiLineString: each(trace),
    Polygon: rings,
    MultiPolygon: each(rings),
  };
  brush.strokeStyle = brush.fillStyle = style.getPropertyValue("--accent");
  brush.lineWidth = scale / 170;
  const geometries = collection.features.flatMap(({ geometry }) =>
    geometry?.type === "GeometryCollection" ? geometry.geometries : (geometry ?? []),
  );
  for (const { type, coordinates } of geometries) {
    brush.beginPath();
    draw[type]?.(coordinates);
    brush.globalAlpha = type.endsWith("LineString") ? 0 : 0.45;
    brush.fill("evenodd");
    brush.globalAlpha = 1;
    brush.stroke();
  }
}
