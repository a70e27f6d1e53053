// Numbers to pixels: the window, the heat map over it, and what is written beside them.

/** @typedef {import("../types.js").SlicePixels} SlicePixels */
/** @typedef {import("../types.js").Maps} Maps */

const FINEST = 512; // pixels of a side of a heat map: it is smooth, and enlarged beyond
// The colours of the reports: lightness rises in a straight line, so equal steps look equal.
/** @type {Record<string, string>} */
const ANCHORS = {
  ember: "000f3c20007658006c7e006ba10269c60164e5215af84950ff714dff9657ffb56affd286ffedb1",
  lagoon: "000f4d00255000375b034a67015c7407708002848a0a998f01b08b39c57b81d472b9e26fefee75",
  grey: "000000ffffff",
};
/** @type {Record<string, number[][]>} */
const RAMPS = Object.fromEntries(Object.entries(ANCHORS).map(([name, anchors]) => [name, ramp(anchors)]));

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
 * @param {Maps} maps @param {string} name @param {string} colours
 * @returns {{image: ImageData, peak: [number, number]} | null} */
export function heatOf(maps, name, colours) {
  const cam = maps.values[name];
  const step = Math.max(1, Math.ceil(Math.max(maps.rows, maps.columns) / FINEST));
  const rows = weights(maps.rows, step, maps.top, maps.side, cam.length);
  const columns = weights(maps.columns, step, maps.left, maps.side, cam[0].length);
  const found = new Float32Array(rows.length * columns.length);
  let highest = 0;
  let at = 0;
  rows.forEach((some, row) => {
    const line = new Float64Array(cam[0].length);
    for (const [cell, weight] of some) cam[cell].forEach((value, c) => (line[c] += weight * value));
    columns.forEach((others, column) => {
      let value = 0;
      for (const [cell, weight] of others) value += weight * line[cell];
      const place = row * columns.length + column;
      found[place] = value;
      if (value > highest) [highest, at] = [value, place];
    });
  });
  if (highest <= 0) return null;
  const image = new ImageData(columns.length, rows.length);
  const ramp = RAMPS[colours];
  for (let i = 0; i < found.length; i += 1) {
    const level = Math.round((found[i] / highest) * 255);
    const [red, green, blue] = ramp[level];
    image.data.set([red, green, blue, level], 4 * i);
  }
  return { image, peak: [step * Math.floor(at / columns.length), step * (at % columns.length)] };
}

/** For each pixel the cells of the map that it mixes: a cubic B-spline, as the reports draw it.
 * @param {number} pixels @param {number} step of how many pixels one is taken @param {number} start @param {number} side @param {number} cells
 * @returns {[number, number][][]} */
function weights(pixels, step, start, side, cells) {
  return Array.from({ length: Math.ceil(pixels / step) }, (_, index) => {
    const pixel = index * step + (step - 1) / 2;
    if (pixel < start || pixel >= start + side) return [];
    const where = ((pixel - start + 0.5) * cells) / side - 0.5;
    const below = Math.floor(where);
    const t = where - below;
    const cubic = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
    return cubic.map((weight, step) => [Math.max(0, Math.min(cells - 1, below + step - 1)), weight / 6]);
  });
}

/** @param {ImageData} image */
export function canvasOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return canvas;
}

/** A slice as a picture of its own, with the heat map of a class over it where one is given.
 * @param {SlicePixels} slice @param {[number, number]} limits of the window
 * @param {{maps: Maps, name: string, colours: string, opacity: number} | null} heat */
export function still(slice, limits, heat) {
  const canvas = canvasOf(greyOf(slice, limits));
  const found = heat && heat.name in heat.maps.values ? heatOf(heat.maps, heat.name, heat.colours) : null;
  if (!heat || !found) return canvas;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.globalAlpha = heat.opacity;
  pen.drawImage(canvasOf(found.image), 0, 0, canvas.width, canvas.height);
  pen.globalAlpha = 1;
  ringed(pen, (found.peak[1] + 0.5), found.peak[0] + 0.5, Math.max(4, canvas.width / 36));
  return canvas;
}

/** A white ring with a dark edge, open in the middle to show what is there.
 * @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} radius */
export function ringed(pen, x, y, radius) {
  for (const [reach, colour, line] of /** @type {[number, string, number][]} */ ([[radius + 1, "#000", 3], [radius, "#fff", 1.5]])) {
    pen.strokeStyle = colour;
    pen.lineWidth = line;
    pen.beginPath();
    pen.arc(x, y, reach, 0, 2 * Math.PI);
    pen.stroke();
  }
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
