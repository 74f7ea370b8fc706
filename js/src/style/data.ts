/**
 * What is known of a layer's data, and what was decided from it: which column, which range, which categories.
 *
 * Decisions last, so that colours keep their meaning while the map moves: a range only grows, and only for values far
 * outside; a category keeps its colour. New code or new values of parameters look at it all anew, once everything in
 * view is there.
 */

import { type Domain, quantile, robustRange, widen } from "./numbers";
import { type ColumnSample, type Geometry, type Sample, sampleGeoJson, sampleTile } from "./samples";
import type { Scale } from "./spec";

const MOST_TILES = 64;
const FAR_OUTSIDE = 0.25; // of a range's length
const MUCH_SMALLER = 0.25;
const FEW = 12; // texts that are categories
const LOGARITHMIC = 1000; // times the least value is the greatest one
const MOSTLY = 0.9;

/** What the automatic style follows. */
export interface Choice {
  column: string;
  kind: "numbers" | "texts" | "colors";
}

interface Range {
  domain: Domain;
  /** Whether there are values outside. */
  isBelow: boolean;
  isAbove: boolean;
}

/** The samples of one column in all tiles. */
interface Column {
  numbers: Float64Array;
  texts: Map<string, number>;
  hasBooleans: boolean;
  isLong: boolean;
}

export class LayerData {
  /** Another one after each change. */
  version = 0;
  readonly #samples = new Map<string, Sample>();
  readonly #columns = new Map<string, Column>();
  readonly #ranges = new Map<string, Range>();
  readonly #classes = new Map<string, string[]>();
  #choice: Choice | null = null;
  /** Whether ranges may shrink when all is there. */
  #isFresh = true;
  /** Whether nothing was settled ever: then ranges are still those of whichever tile came first. */
  #isNew = true;

  /** Whether anything is known at all. */
  get isKnown(): boolean {
    return this.#samples.size > 0;
  }

  get geometries(): Set<Geometry> {
    return new Set([...this.#samples.values()].flatMap(({ geometries }) => [...geometries]));
  }

  /** Takes in a vector tile. */
  addTile(id: string, bytes: ArrayBuffer): boolean {
    return this.#add(id, sampleTile(bytes));
  }

  /** Takes in a file in the place of the one before. */
  replaceFile(bytes: ArrayBuffer): boolean {
    const isFirst = !this.isKnown;
    this.restart();
    const isTaken = this.#add("", sampleGeoJson(bytes));
    if (!isFirst) this.settle();
    return isTaken;
  }

  /** The next data are of other code or other values. */
  restart(): void {
    this.#samples.clear();
    this.#columns.clear();
    this.#isFresh = true;
  }

  /** All that is in view is there; says whether a decision changed. */
  settle(): boolean {
    if (!this.#isFresh || !this.isKnown) return false;
    this.#isFresh = false;
    let hasChanged = false;
    for (const [key, { domain }] of this.#ranges) {
      const fresh = this.#measure(key);
      if (!fresh) continue;
      const isOutside = fresh.domain[0] > domain[1] || fresh.domain[1] < domain[0];
      const isSmall = fresh.domain[1] - fresh.domain[0] <= MUCH_SMALLER * (domain[1] - domain[0]);
      if (!isOutside && !isSmall && !this.#isNew) continue;
      this.#ranges.set(key, fresh);
      hasChanged ||= String(fresh.domain) !== String(domain);
    }
    this.#isNew = false;
    if (this.#choice && !this.has(this.#choice.column)) {
      this.#choice = null;
      hasChanged = true;
    }
    if (hasChanged) this.version += 1;
    return hasChanged;
  }

  /** Whether any feature has a value there. */
  has(column: string): boolean {
    return [...this.#samples.values()].some(({ columns }) => columns.has(column));
  }

  /** The range of a column's numbers; null where it has none. */
  range(column: string, scale: Scale): Range | null {
    const key = `${scale} ${column}`;
    const known = this.#ranges.get(key);
    const fresh = this.#measure(key);
    if (!known || !fresh) {
      if (fresh) this.#ranges.set(key, fresh);
      return fresh ?? known ?? null;
    }
    const { place, round } = BY_SCALE[scale];
    const [low, high] = known.domain;
    const [least, greatest] = fresh.domain;
    const slack = (place(high) - place(low)) * FAR_OUTSIDE;
    const isOutside = place(least) < place(low) - slack || place(greatest) > place(high) + slack;
    const domain = isOutside ? round([Math.min(low, least), Math.max(high, greatest)]) : known.domain;
    const grown = { domain, isBelow: known.isBelow || fresh.isBelow, isAbove: known.isAbove || fresh.isAbove };
    this.#ranges.set(key, grown);
    return grown;
  }

  /** Where so many equal shares of a column's numbers end: ascending, and fewer where many are equal. */
  quantiles(column: string, count: number): number[] {
    const sorted = this.#column(column).numbers;
    if (sorted.length === 0) return [];
    const places = Array.from({ length: count }, (_, i) => quantile(sorted, i / Math.max(1, count - 1)));
    return places.filter((value, i) => i === 0 || value > (places[i - 1] ?? value));
  }

  /** The most frequent texts of a column; those that were there first keep their places. */
  classes(column: string, most: number): string[] {
    const known = this.#classes.get(column) ?? [];
    const fresh = [...this.#column(column).texts]
      .sort(([a, n], [b, m]) => m - n || compare(a, b))
      .map(([text]) => text);
    const added = fresh.filter((text) => !known.includes(text)).slice(0, Math.max(0, most - known.length));
    const all = known.length > 0 ? [...known, ...added] : added.sort(compare);
    this.#classes.set(column, all);
    return all;
  }

  /** Whether a column has texts beyond these. */
  hasOthers(column: string, classes: readonly string[]): boolean {
    const { texts, isLong } = this.#column(column);
    return isLong || [...texts.keys()].some((text) => !classes.includes(text));
  }

  /** The column that says most, to colour by; null where none does. */
  choice(): Choice | null {
    this.#choice ??= this.#choose();
    return this.#choice;
  }

  /** What a column can be coloured by; null where nobody knows yet, or it is empty. */
  kindOf(column: string): Choice["kind"] | null {
    const { numbers, texts } = this.#column(column);
    const textual = [...texts.values()].reduce((sum, count) => sum + count, 0);
    if (numbers.length === 0 && textual === 0) return null;
    return numbers.length >= MOSTLY * (numbers.length + textual) ? "numbers" : "texts";
  }

  #add(id: string, sample: Sample | null): boolean {
    if (!sample || sample.count === 0) return false;
    this.#samples.delete(id); // so that it counts as new
    this.#samples.set(id, sample);
    for (const old of this.#samples.keys()) {
      if (this.#samples.size <= MOST_TILES) break;
      this.#samples.delete(old);
    }
    this.#columns.clear();
    this.version += 1;
    return true;
  }

  #column(name: string): Column {
    let column = this.#columns.get(name);
    if (!column) {
      column = merged([...this.#samples.values()].flatMap(({ columns }) => columns.get(name) ?? []));
      this.#columns.set(name, column);
    }
    return column;
  }

  #measure(key: string): Range | null {
    const [scale, ...rest] = key.split(" ") as [Scale, ...string[]];
    const { numbers } = this.#column(rest.join(" "));
    const usable = scale === "log" ? numbers.filter((value) => value > 0) : numbers;
    const range = robustRange(usable);
    if (!range) return null;
    const domain = BY_SCALE[scale].round(range);
    const [least = domain[0], greatest = domain[1]] = [usable[0], usable[usable.length - 1]];
    return { domain, isBelow: least < domain[0], isAbove: greatest > domain[1] };
  }

  #choose(): Choice | null {
    const names = [...new Set([...this.#samples.values()].flatMap(({ columns }) => [...columns.keys()]))];
    let best: { choice: Choice; score: number } | null = null;
    for (const column of names) {
      const found = this.#judge(column);
      if (found && found.score > (best?.score ?? 0)) best = found;
    }
    return best?.choice ?? null;
  }

  /** How much a column has to say; null where nothing. */
  #judge(column: string): { choice: Choice; score: number } | null {
    const data = this.#column(column);
    const kind = this.kindOf(column);
    if (kind === "texts" && COLOR_NAMES.test(column) && areColors([...data.texts.keys()]))
      return { choice: { column, kind: "colors" }, score: 4 };
    if (!kind || IDS.test(column) || CAMEL_IDS.test(column) || PLACES.test(column)) return null;
    if (kind === "numbers" && CODES.test(column)) return null;
    if (kind === "texts") return isFew(data) ? { choice: { column, kind }, score: 1 } : null;
    const { numbers } = data;
    if (numbers[0] === numbers[numbers.length - 1] || isCount(numbers)) return null;
    return { choice: { column, kind }, score: MEANINGFUL.test(column) ? 3 : 2 };
  }
}

/** Whether numbers are so unequal that only their logarithms can be told apart. */
export function isLogarithmic([low, high]: Domain): boolean {
  return low > 0 && high / low >= LOGARITHMIC;
}

/** Ids, codes and places: their numbers mean nothing, or what the map shows anyway. */
const IDS = /^(.*[_ .:-])?(id|ids|fid|gid|oid|uid|uuid|guid|objectid|geoid|quadkey)$/i;
const CAMEL_IDS = /[a-z](Id|ID)$/;
const PLACES =
  /^(index|idx|x|y|z|(.*[_ .:-])?(lon|lng|lat|long|longitude|latitude|easting|northing)|(min|max)[xy]|west|south|east|north|hex|h3|h3_?(index|cell)|cell|tile|level_0|__index_level_0__|geometry|geom|wkt|bbox)$/i;
const CODES = /^(.*[_ .:-])?(code|fips|zip|zipcode|postcode|phone)$/i;
const MEANINGFUL =
  /(value|val|metric|score|mag|magnitude|count|cnt|num|total|sum|mean|avg|median|density|pop|population|height|elevation|depth|temp|temperature|price|income|rate|ratio|share|pct|percent|area|length|speed|intensity|risk)/i;
const COLOR_NAMES = /^(colou?r|fill|fill[_-]?colou?r|stroke|marker-color)$/i;

function areColors(texts: readonly string[]): boolean {
  return texts.length > 0 && texts.every((text) => /^#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i.test(text.trim()));
}

function isFew({ texts, hasBooleans, isLong }: Column): boolean {
  const count = [...texts.values()].reduce((sum, each) => sum + each, 0);
  return !isLong && texts.size > 1 && texts.size <= FEW && (hasBooleans || count >= 2 * texts.size);
}

/** Row numbers: whole, no two alike, and hardly one missing between the least and the greatest. */
function isCount(sorted: Float64Array): boolean {
  if (sorted.length < 20) return false;
  const [least = 0, greatest = 0] = [sorted[0], sorted[sorted.length - 1]];
  const areDistinct = sorted.every((value, i) => Number.isInteger(value) && value !== sorted[i - 1]);
  return areDistinct && greatest - least < 1.1 * sorted.length;
}

function merged(samples: readonly ColumnSample[]): Column {
  const numbers = Float64Array.from(samples.flatMap((sample) => sample.numbers)).sort();
  const texts = new Map<string, number>();
  for (const sample of samples)
    for (const [text, count] of sample.texts) texts.set(text, (texts.get(text) ?? 0) + count);
  return { numbers, texts, hasBooleans: samples.some((s) => s.hasBooleans), isLong: samples.some((s) => s.isLong) };
}

/** Rounded outwards to one digit, as powers of ten are too far apart for small ranges. */
function decades([low, high]: Domain): Domain {
  const [below, above] = [10 ** Math.floor(Math.log10(low)), 10 ** Math.floor(Math.log10(high))];
  return [Math.floor(low / below) * below, Math.ceil(high / above) * above];
}

const LINEAR = { place: (value: number) => value, round: widen };
const BY_SCALE = { linear: LINEAR, quantile: LINEAR, log: { place: Math.log10, round: decades } };

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
