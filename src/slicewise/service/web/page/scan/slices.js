// The binary answer of /v1/read to slices, without copying their pixels.

/** @typedef {import("../types.js").SlicePixels} SlicePixels */

/** @type {Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => ArrayLike<number>>} */
const KINDS = { uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, float32: Float32Array };

/** The slices of an answer, in its order.
 * @param {ArrayBuffer} buffer
 * @returns {{slices: SlicePixels[], next: number | null}} and the slice to go on with */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const begin = 4 + length;
  const slices = [];
  for (const series of head.series) {
    for (const one of series.slices) {
      const Kind = KINDS[one.type];
      const picture = one.model_input;
      slices.push({
        source: one.source,
        rows: one.rows,
        columns: one.columns,
        values: new Kind(buffer, begin + one.offset, one.rows * one.columns),
        spacing: one.pixel_spacing_mm,
        orientation: one.orientation,
        position: one.position_mm,
        window: one.window,
        square: one.square,
        input: picture && {
          values: new Uint8Array(buffer, begin + picture.offset, picture.size ** 2),
          size: picture.size,
        },
      });
    }
  }
  return { slices, next: head.next };
}

/** Slices from the lowest to the highest along their normal, where all have a place; else as they are.
 * @param {SlicePixels[]} slices */
export function inOrder(slices) {
  const first = slices[0]?.orientation;
  if (!first || slices.some((one) => !one.position)) return slices;
  const [a, b, c, d, e, f] = first;
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  const largest = normal.reduce((x, y) => (Math.abs(y) > Math.abs(x) ? y : x));
  const sign = Math.sign(largest) || 1;
  const height = (/** @type {SlicePixels} */ one) =>
    (one.position ?? []).reduce((sum, part, axis) => sum + sign * part * normal[axis], 0);
  return [...slices].sort((x, y) => height(x) - height(y));
}

/** @type {WeakMap<SlicePixels, [number, number]>} */
const WINDOWS = new WeakMap();

/** The window a slice is first shown with: its own, or robust percentiles.
 * @param {SlicePixels} slice @returns {[number, number]} low and high */
export function windowOf(slice) {
  const found = WINDOWS.get(slice) ?? measured(slice);
  WINDOWS.set(slice, found);
  return found;
}

/** @param {SlicePixels} slice @returns {[number, number]} */
function measured(slice) {
  if (slice.window && slice.window[1] > 1) {
    const low = slice.window[0] - 0.5 - (slice.window[1] - 1) / 2;
    return [low, low + slice.window[1] - 1];
  }
  const step = Math.max(1, Math.floor(slice.values.length / 65536));
  const some = [];
  for (let i = 0; i < slice.values.length; i += step) some.push(slice.values[i]);
  some.sort((x, y) => x - y);
  const low = some[Math.floor(0.005 * (some.length - 1))];
  const high = some[Math.ceil(0.997 * (some.length - 1))];
  return high > low ? [low, high] : [some[0], Math.max(some[some.length - 1], some[0] + 1)];
}
