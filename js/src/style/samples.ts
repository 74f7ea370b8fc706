/** What some features of a tile or a file say: a sample of each column, read without reading the rest. */

export type Value = string | number | boolean;
export type Geometry = "point" | "line" | "polygon";

/** The values of one column among the features that were looked at. */
export interface ColumnSample {
  numbers: number[];
  /** Texts and booleans, as MapLibre's `to-string` writes them, and how often they came. */
  texts: Map<string, number>;
  hasBooleans: boolean;
  /** Whether there were more texts than are counted. */
  isLong: boolean;
}

export interface Sample {
  /** Features that were looked at. */
  count: number;
  columns: Map<string, ColumnSample>;
  geometries: Set<Geometry>;
}

const LARGEST_SAMPLE = 256; // features of a tile or file
const MOST_TEXTS = 64; // of one column that are counted
const SOURCE_LAYER = "udf"; // the twin is the MVT writer in fused_jupyter/formats
const WHOLE = 200_000; // bytes of GeoJSON that are simply parsed
const FEATURE_BYTES = 4096; // where a feature of GeoJSON says its geometry's type

export function emptySample(): Sample {
  return { count: 0, columns: new Map(), geometries: new Set() };
}

/** Takes one feature's properties into a sample. */
export function addProperties(sample: Sample, properties: Iterable<readonly [string, unknown]>): void {
  sample.count += 1;
  for (const [name, value] of properties) {
    if (value === null || value === undefined) continue;
    let column = sample.columns.get(name);
    if (!column) {
      column = { numbers: [], texts: new Map(), hasBooleans: false, isLong: false };
      sample.columns.set(name, column);
    }
    if (typeof value === "number") {
      if (Number.isFinite(value)) column.numbers.push(value);
    } else {
      column.hasBooleans ||= typeof value === "boolean";
      countText(column, typeof value === "object" ? JSON.stringify(value) : String(value));
    }
  }
}

function countText(column: ColumnSample, text: string): void {
  const count = column.texts.get(text);
  if (count !== undefined || column.texts.size < MOST_TEXTS) column.texts.set(text, (count ?? 0) + 1);
  else column.isLong = true;
}

/** A sample of a vector tile; null where the bytes are none. */
export function sampleTile(bytes: ArrayBuffer): Sample | null {
  const data = new Uint8Array(bytes);
  if (data[0] !== 0x1a) return null; // field 3, a layer; pictures begin otherwise
  try {
    const sample = emptySample();
    const tile = new Reader(data, 0, data.length);
    while (!tile.isDone) {
      const { field, wire } = tile.tag();
      if (field === 3 && wire === 2) sampleLayer(tile.message(), sample);
      else tile.skip(wire);
    }
    return sample;
  } catch {
    return null; // MapLibre will say what is wrong with it
  }
}

const GEOMETRIES: Record<number, Geometry> = { 1: "point", 2: "line", 3: "polygon" };

function sampleLayer(layer: Reader, sample: Sample): void {
  // Places, not readers: of 50 000 features most are never looked at.
  const spans = layer.spans();
  const readers = (field: number, wanted?: number[]) => {
    const span = spans[field] ?? [];
    const all = wanted ?? Array.from({ length: span.length >> 1 }, (_, i) => i);
    return all.map((i) => layer.part(span[2 * i] ?? 0, span[2 * i + 1] ?? 0));
  };
  if (readers(1)[0]?.text() !== SOURCE_LAYER) return;
  const names = readers(3).map((key) => key.text());
  const values = spans[4] ?? [];
  for (const feature of readers(2, spread((spans[2]?.length ?? 0) >> 1))) {
    const { tags, type } = readFeature(feature);
    const geometry = GEOMETRIES[type];
    if (geometry) sample.geometries.add(geometry);
    const pairs = pairsOf(tags).map(([key, value]): [string, unknown] => {
      const [from, to] = [values[2 * value], values[2 * value + 1]];
      return [names[key] ?? "", from !== undefined && to !== undefined ? readValue(layer.part(from, to)) : null];
    });
    addProperties(sample, pairs);
  }
}

function pairsOf(numbers: readonly number[]): [number, number][] {
  return Array.from({ length: numbers.length >> 1 }, (_, i) => [numbers[2 * i] ?? 0, numbers[2 * i + 1] ?? 0]);
}

function readFeature(feature: Reader): { tags: number[]; type: number } {
  const tags: number[] = [];
  let type = 0;
  while (!feature.isDone) {
    const { field, wire } = feature.tag();
    if (field === 2 && wire === 2) {
      const packed = feature.message();
      while (!packed.isDone) tags.push(packed.varint());
    } else if (field === 3) type = feature.varint();
    else feature.skip(wire);
  }
  return { tags, type };
}

const VALUES: Record<number, (reader: Reader) => Value> = {
  1: (reader) => reader.message().text(),
  2: (reader) => reader.float(),
  3: (reader) => reader.double(),
  4: (reader) => reader.varint(),
  5: (reader) => reader.varint(),
  6: (reader) => reader.zigzag(),
  7: (reader) => reader.varint() !== 0,
};

function readValue(reader: Reader): Value | null {
  const { field } = reader.tag();
  return VALUES[field]?.(reader) ?? null;
}

/** Numbers below a count, evenly spread, and at most as many as a sample has. */
function spread(count: number): number[] {
  const step = Math.max(1, count / LARGEST_SAMPLE);
  return Array.from({ length: Math.min(count, LARGEST_SAMPLE) }, (_, i) => Math.floor(i * step));
}

const TEXT = new TextDecoder();

/** Protocol buffers, as far as vector tiles go. */
class Reader {
  constructor(
    private readonly data: Uint8Array,
    private at: number,
    private readonly end: number,
  ) {}

  get isDone(): boolean {
    return this.at >= this.end;
  }

  /** The bytes between two places. */
  part(start: number, end: number): Reader {
    return new Reader(this.data, start, end);
  }

  tag(): { field: number; wire: number } {
    const tag = this.varint();
    return { field: tag >>> 3, wire: tag & 7 };
  }

  varint(): number {
    const first = this.data[this.at] ?? 128;
    if (first < 128 && this.at < this.end) {
      this.at += 1;
      return first;
    }
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = this.data[this.at++];
      if (byte === undefined || this.at > this.end) throw new RangeError("the tile ends early");
      value += (byte & 127) * factor;
      if (byte < 128) break;
      factor *= 128;
    }
    // int64 below 0 has all 64 bits.
    return value >= 2 ** 63 ? value - 2 ** 64 : value;
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  message(): Reader {
    const start = this.enter();
    return this.part(start, this.at);
  }

  /** Passes over a message; gives where it begins. It ends where the reader is then. */
  enter(): number {
    const length = this.varint();
    const start = this.at;
    this.at += length;
    if (this.at > this.end) throw new RangeError("the tile ends early");
    return start;
  }

  /** Where the messages and texts of each field below 5 begin and end, one after the other. */
  spans(): number[][] {
    const spans: number[][] = [[], [], [], [], []];
    while (!this.isDone) {
      const { field, wire } = this.tag();
      const start = wire === 2 ? this.enter() : -1;
      if (start < 0) this.skip(wire);
      else spans[field]?.push(start, this.at);
    }
    return spans;
  }

  skip(wire: number): void {
    if (wire === 0) this.varint();
    else if (wire === 2) this.enter();
    else this.at += wire === 1 ? 8 : 4;
  }

  text(): string {
    return TEXT.decode(this.data.subarray(this.at, this.end));
  }

  float(): number {
    return this.#view(4).getFloat32(0, true);
  }

  double(): number {
    return this.#view(8).getFloat64(0, true);
  }

  #view(length: number): DataView {
    const view = new DataView(this.data.buffer, this.data.byteOffset + this.at, length);
    this.at += length;
    return view;
  }
}

/** A sample of a file of GeoJSON; of a large one only some places are looked at. */
export function sampleGeoJson(bytes: ArrayBuffer): Sample | null {
  return bytes.byteLength <= WHOLE ? sampleWhole(bytes) : samplePlaces(new Uint8Array(bytes));
}

interface Feature {
  properties?: Record<string, unknown> | null;
  geometry?: { type?: string } | null;
}

function sampleWhole(bytes: ArrayBuffer): Sample | null {
  try {
    const { features } = JSON.parse(TEXT.decode(bytes)) as { features?: Feature[] };
    const sample = emptySample();
    for (const i of spread(features?.length ?? 0)) {
      const { properties, geometry } = features?.[i] ?? {};
      addProperties(sample, Object.entries(properties ?? {}));
      addGeometry(sample, geometry?.type ?? "");
    }
    return sample;
  } catch {
    return null;
  }
}

const PROPERTIES = new TextEncoder().encode('"properties"');

function samplePlaces(data: Uint8Array): Sample {
  const sample = emptySample();
  const step = data.length / LARGEST_SAMPLE;
  let at = 0;
  for (let i = 0; i < LARGEST_SAMPLE; i++) {
    const place = indexOf(data, PROPERTIES, Math.max(at, Math.floor(i * step)));
    if (place < 0) break;
    at = place + PROPERTIES.length;
    const properties = objectAt(data, at);
    if (properties) addProperties(sample, Object.entries(properties));
    const around = TEXT.decode(data.subarray(Math.max(0, place - FEATURE_BYTES), place + FEATURE_BYTES));
    for (const [, type = ""] of around.matchAll(/"type":\s*"(\w+)"/g)) addGeometry(sample, type);
  }
  return sample;
}

function addGeometry(sample: Sample, type: string): void {
  const kind = { Point: "point", LineString: "line", Polygon: "polygon" }[type.replace("Multi", "")];
  if (kind) sample.geometries.add(kind as Geometry);
}

function indexOf(data: Uint8Array, pattern: Uint8Array, from: number): number {
  const [first = 0] = pattern;
  for (let at = data.indexOf(first, from); at >= 0; at = data.indexOf(first, at + 1)) {
    // A quote after a backslash is inside a text.
    if (data[at - 1] !== 0x5c && pattern.every((byte, i) => data[at + i] === byte)) return at;
  }
  return -1;
}

/** The object that begins after a colon; null where it is none. */
function objectAt(data: Uint8Array, from: number): Record<string, unknown> | null {
  const start = data.indexOf(0x7b, from);
  let [depth, isText] = [0, false];
  for (let at = start; at >= 0 && at < data.length; at++) {
    const byte = data[at];
    if (byte === 0x5c) at += 1;
    else if (byte === 0x22) isText = !isText;
    else if (!isText && byte === 0x7b) depth += 1;
    else if (!isText && byte === 0x7d && --depth === 0) return parsed(TEXT.decode(data.subarray(start, at + 1)));
  }
  return null;
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}
