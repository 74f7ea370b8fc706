/** Reads NumPy's file format: the numbers of a raster tile as the UDF made them. */

/** Missing is null; what JavaScript has no exact number for is text. */
export type PixelValue = number | boolean | string | null;

interface NumberType {
  size: number;
  /** Significant digits that the type can hold; more would be noise of the conversion to a double. */
  digits: number;
  read: (view: DataView, at: number, little: boolean) => PixelValue;
}

/** By NumPy's letter and size in bytes; the twin of what pictures are drawn from is formats/rasters/raster.py. */
const TYPES: Record<string, NumberType> = {
  b1: { size: 1, digits: 1, read: (view, at) => view.getUint8(at) !== 0 },
  u1: { size: 1, digits: 3, read: (view, at) => view.getUint8(at) },
  i1: { size: 1, digits: 3, read: (view, at) => view.getInt8(at) },
  u2: { size: 2, digits: 5, read: (view, at, little) => view.getUint16(at, little) },
  i2: { size: 2, digits: 5, read: (view, at, little) => view.getInt16(at, little) },
  u4: { size: 4, digits: 10, read: (view, at, little) => view.getUint32(at, little) },
  i4: { size: 4, digits: 10, read: (view, at, little) => view.getInt32(at, little) },
  u8: { size: 8, digits: 20, read: (view, at, little) => exact(view.getBigUint64(at, little)) },
  i8: { size: 8, digits: 20, read: (view, at, little) => exact(view.getBigInt64(at, little)) },
  f2: { size: 2, digits: 4, read: (view, at, little) => real(half(view.getUint16(at, little))) },
  f4: { size: 4, digits: 7, read: (view, at, little) => real(view.getFloat32(at, little)) },
  f8: { size: 8, digits: 15, read: (view, at, little) => real(view.getFloat64(at, little)) },
};

interface NdArray {
  type: NumberType;
  shape: number[];
  /** Value at a position in C order. */
  at: (index: number) => PixelValue;
  /** Where the next array begins. */
  end: number;
}

/** A tile's numbers, of shape bands × height × width. */
export interface Grid {
  bands: number;
  height: number;
  width: number;
  digits: number;
  /** All bands of one pixel; null where there is no data. */
  pixel(row: number, column: number): PixelValue[];
}

/**
 * The numbers in a file as the tile route gives it; null where they are no picture, e.g. text or a single dimension.
 *
 * A second array says which pixels are missing where the numbers cannot: see encode_npy in formats/rasters/npy.py.
 */
export function readGrid(bytes: ArrayBuffer): Grid | null {
  const values = readArray(bytes, 0);
  if (!values || values.shape.length < 2 || values.shape.includes(0)) return null;
  const layout = layoutOf(values.shape);
  const missing = values.end < bytes.byteLength ? readArray(bytes, values.end) : null;
  const { bands, height, width, index } = layout;
  const pixel = (row: number, column: number): PixelValue[] => {
    const isMissing = missing?.at(row * width + column) === true;
    return Array.from({ length: bands }, (_, band) => (isMissing ? null : values.at(index(band, row, column))));
  };
  return { bands, height, width, digits: values.type.digits, pixel };
}

/** Where bands, rows and columns are; the same rule as `bands_first` in formats/rasters/raster.py. */
export function layoutOf(shape: readonly number[]): {
  bands: number;
  height: number;
  width: number;
  index: (band: number, row: number, column: number) => number;
} {
  const [first = 1, second = 1, third = 1] = shape.length === 2 ? [1, ...shape] : shape.slice(-3);
  const isLast = shape.length > 2 && first > MOST_BANDS && (third <= MOST_BANDS || third < first);
  if (isLast) {
    const [height, width, bands] = [first, second, third];
    return { bands, height, width, index: (band, row, column) => (row * width + column) * bands + band };
  }
  const [bands, height, width] = [first, second, third];
  return { bands, height, width, index: (band, row, column) => (band * height + row) * width + column };
}

const MOST_BANDS = 4;
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY

function readArray(bytes: ArrayBuffer, start: number): NdArray | null {
  const view = new DataView(bytes);
  if (bytes.byteLength < start + 10 || MAGIC.some((byte, i) => view.getUint8(start + i) !== byte)) return null;
  const isFirstVersion = view.getUint8(start + 6) === 1;
  const length = isFirstVersion ? view.getUint16(start + 8, true) : view.getUint32(start + 8, true);
  const headerAt = start + (isFirstVersion ? 10 : 12);
  const header = new TextDecoder().decode(new Uint8Array(bytes, headerAt, length));
  // The header is a Python literal of three known keys, not JSON.
  const [, order = "", name = ""] = /'descr':\s*'([<>|=])(\w+)'/.exec(header) ?? [];
  const type = TYPES[name];
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1]?.match(/\d+/g)?.map(Number) ?? [];
  if (!type) return null;
  const data = headerAt + length;
  const count = shape.reduce((product, side) => product * side, 1);
  const position = /'fortran_order':\s*True/.test(header) ? inFortranOrder(shape) : (index: number) => index;
  const at = (index: number) => type.read(view, data + position(index) * type.size, order !== ">");
  return { type, shape, at, end: data + count * type.size };
}

function inFortranOrder(shape: readonly number[]): (index: number) => number {
  return (index) => {
    let [rest, position, stride] = [index, 0, shape.reduce((product, side) => product * side, 1)];
    for (const side of [...shape].reverse()) {
      stride /= side;
      position += (rest % side) * stride;
      rest = Math.floor(rest / side);
    }
    return position;
  };
}

/** A half-precision float; browsers have no reader for it that all of them know. */
function half(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** NaN is nothing; infinities are text, as JSON has no number for them. */
function real(value: number): PixelValue {
  if (Number.isNaN(value)) return null;
  return Number.isFinite(value) ? value : String(value);
}

function exact(value: bigint): PixelValue {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}
