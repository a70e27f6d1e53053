// Numbers to pixels: the window, the heat map over it, and what is written beside them.

/** @typedef {import("./types.js").SlicePixels} SlicePixels */
/** @typedef {import("./types.js").Maps} Maps */

// The colours of the reports: lightness rises in a straight line, so equal steps look equal.
const EMBER = "000f3c20007658006c7e006ba10269c60164e5215af84950ff714dff9657ffb56affd286ffedb1";
export const COLOURS = ramp(EMBER);

/** 256 RGB colours between the anchors. @param {string} anchors */
function ramp(anchors) {
  const stops = anchors.match(/.{6}/g) ?? [];
  return Array.from({ length: 256 }, (_, level) => {
    const at = (level / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(at), stops.length - 2);
    return [0, 2, 4].map((c) => {
      const [x, y] = [below, below + 1].map((i) => Number.parseInt(stops[i].slice(c, c + 2), 16));
      return Math.round(x + (y - x) * (at - below));
    });
  });
}

/** The slice between two values as grey RGBA. @param {SlicePixels} slice @param {[number, number]} limits */
export function greyOf(slice, [low, high]) {
  const { values, rows, columns } = slice;
  const image = new ImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const scale = 255 / Math.max(high - low, 1e-9);
  for (let i = 0; i < pixels.length; i += 1) {
    const shade = Math.max(0, Math.min(255, Math.round((values[i] - low) * scale)));
    pixels[i] = 0xff000000 | (shade * 0x010101);
  }
  return image;
}

/** The picture that the model received, as grey RGBA. @param {{values: Uint8Array, size: number}} input */
export function inputOf({ values, size }) {
  const image = new ImageData(size, size);
  new Uint32Array(image.data.buffer).set(Uint32Array.from(values, (shade) => 0xff000000 | (shade * 0x010101)));
  return image;
}

/** The heat map of one class on the slice, RGBA whose opacity is the evidence; null without any.
 * @param {Maps} maps @param {string} name
 * @returns {{image: ImageData, peak: [number, number]} | null} */
export function heatOf(maps, name) {
  const cam = maps.values[name];
  const rows = weights(maps.rows, maps.top, maps.side, cam.length);
  const columns = weights(maps.columns, maps.left, maps.side, cam[0].length);
  const found = new Float32Array(maps.rows * maps.columns);
  let highest = 0;
  let at = 0;
  rows.forEach((some, row) => {
    const line = new Float64Array(cam[0].length);
    for (const [cell, weight] of some) cam[cell].forEach((value, c) => (line[c] += weight * value));
    columns.forEach((others, column) => {
      let value = 0;
      for (const [cell, weight] of others) value += weight * line[cell];
      const place = row * maps.columns + column;
      found[place] = value;
      if (value > highest) [highest, at] = [value, place];
    });
  });
  if (highest <= 0) return null;
  const image = new ImageData(maps.columns, maps.rows);
  for (let i = 0; i < found.length; i += 1) {
    const level = Math.round((found[i] / highest) * 255);
    const [red, green, blue] = COLOURS[level];
    image.data.set([red, green, blue, level], 4 * i);
  }
  return { image, peak: [Math.floor(at / maps.columns), at % maps.columns] };
}

/** For each pixel the cells of the map that it mixes: a cubic B-spline, as the reports draw it.
 * @param {number} pixels @param {number} start @param {number} side @param {number} cells
 * @returns {[number, number][][]} */
function weights(pixels, start, side, cells) {
  return Array.from({ length: pixels }, (_, pixel) => {
    if (pixel < start || pixel >= start + side) return [];
    const where = ((pixel - start + 0.5) * cells) / side - 0.5;
    const below = Math.floor(where);
    const t = where - below;
    const cubic = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return cubic.map((weight, step) => [Math.max(0, Math.min(cells - 1, below + step - 1)), weight / 6]);
  });
}

/** Patient letters at the left, right, top and bottom edge; null where the orientation is unknown.
 * @param {number[] | null} orientation */
export function marksOf(orientation) {
  if (!orientation) return null;
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)];
  const opposite = (/** @type {number[]} */ v) => v.map((part) => -part);
  return { left: letters(opposite(row)), right: letters(row), top: letters(opposite(column)), bottom: letters(column) };
}

/** The patient directions of a vector, the strongest first. @param {number[]} direction in LPS */
function letters(direction) {
  return direction
    .map((part, axis) => ({ size: Math.abs(part), letter: (part > 0 ? "LPS" : "RAI")[axis] }))
    .filter(({ size }) => size > 0.3)
    .sort((x, y) => y.size - x.size)
    .map(({ letter }) => letter)
    .join("");
}
