/** Ranges of values that people can read: robust ends, round numbers, ticks. */

const SMALL_SAMPLE = 50; // below, no value is an outlier
const TAIL = 0.02; // of the values at each end that may lie outside
const MUCH_WIDER = 1.5; // the whole range is taken if it is not wider than this
const TICKS = 5;
const LETTER = 0.035; // of the ramp's length: 6 of 175 pixels
const CLOSE = 0.1; // of the ramp's length between two ticks

export type Domain = readonly [low: number, high: number];

/** The value below which this share of sorted values lies. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share;
  const low = Math.floor(place);
  const [first = Number.NaN, second = first] = [sorted[low], sorted[Math.min(low + 1, sorted.length - 1)]];
  return first + (second - first) * (place - low);
}

/** Where nearly all of the sorted values lie: without outliers where there are some. */
export function robustRange(sorted: ArrayLike<number>): Domain | null {
  const [least, greatest] = [sorted[0], sorted[sorted.length - 1]];
  if (least === undefined || greatest === undefined) return null;
  if (sorted.length < SMALL_SAMPLE) return [least, greatest];
  const [low, high] = [quantile(sorted, TAIL), quantile(sorted, 1 - TAIL)];
  return greatest - least <= MUCH_WIDER * (high - low) || low === high ? [least, greatest] : [low, high];
}

/** Rounded outwards to two digits of its length; the twin is `widen` in fused_jupyter/formats/rasters/ranges.py. */
export function widen([low, high]: Domain): Domain {
  const length = high - low;
  if (!Number.isFinite(length) || length < 1e-290) return [low, high];
  const digits = 1 - Math.floor(Math.log10(length));
  const rounded = (value: number, round: (value: number) => number, slack: number) => {
    const steps = round(value * 10 ** digits + slack);
    return digits >= 0 ? Number((steps / 10 ** digits).toFixed(Math.min(digits, 100))) : steps * 10 ** -digits;
  };
  return [Math.min(low, rounded(low, Math.floor, 1e-9)), Math.max(high, rounded(high, Math.ceil, -1e-9))];
}

/** Values for the ticks of a ramp: its ends, and round ones between that do not stand too close. */
export function ticksOf([low, high]: Domain, place: (value: number) => number = linearPlace([low, high])): number[] {
  if (!(high > low)) return [low];
  const step = roundStep((high - low) / (TICKS - 1));
  const inner: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high + step * 1e-9; n++)
    inner.push(Number((n * step).toPrecision(12)));
  const isFree = (value: number) => place(value) >= CLOSE && place(value) <= 1 - CLOSE;
  return [low, ...inner.filter(isFree), high];
}

/** Powers of ten between the ends of a ramp of logarithms, and the ends. */
export function logTicks([low, high]: Domain): number[] {
  const place = logPlace([low, high]);
  const powers: number[] = [];
  for (let n = Math.ceil(Math.log10(low)); 10 ** n <= high; n++) powers.push(10 ** n);
  const free = powers.filter((value) => place(value) >= CLOSE && place(value) <= 1 - CLOSE);
  const every = Math.ceil(free.length / (TICKS - 2));
  return [low, ...free.filter((_, i) => i % every === 0), high];
}

export interface Tick {
  /** 0 to 1, along the ramp. */
  at: number;
  text: string;
}

/** The ticks whose words do not run into each other; the first and the last one stay, and theirs are inside. */
export function withRoom(ticks: readonly Tick[]): Tick[] {
  const [first, last] = [ticks[0], ticks[ticks.length - 1]];
  if (!first || !last || ticks.length < 3) return [...ticks];
  const width = ({ text }: Tick) => (text.length + 0.5) * LETTER;
  let free = first.at < 0.08 ? width(first) : first.at + width(first) / 2;
  const end = 1 - width(last);
  const inner = ticks.slice(1, -1).filter((tick) => {
    const half = width(tick) / 2;
    if (tick.at - half < free || tick.at + half > end) return false;
    free = tick.at + half;
    return true;
  });
  return [first, ...inner, last];
}

export function linearPlace([low, high]: Domain): (value: number) => number {
  return (value) => (high > low ? (value - low) / (high - low) : 0);
}

export function logPlace([low, high]: Domain): (value: number) => number {
  return (value) => linearPlace([Math.log10(low), Math.log10(high)])(Math.log10(value));
}

function roundStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 2.5, 5].find((step) => step * power >= raw * 0.999) ?? 10);
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** A number in a few characters: 0.25, 1990, 12K, 3.4M, 2e-7. */
export function readable(value: number, length = Math.abs(value)): string {
  const size = Math.abs(value);
  // Below ten thousand, whole numbers may be years.
  if (size >= 10_000) return COMPACT.format(value);
  if (value !== 0 && size < 1e-4 && length < 1e-3) return Number(value.toPrecision(3)).toString();
  const digits = length > 0 ? Math.max(0, Math.min(8, 2 - Math.floor(Math.log10(length)))) : 2;
  return Number(value.toFixed(digits)).toString().replace("-", "−");
}
