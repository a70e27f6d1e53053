// A stack of slices on a canvas: scroll, window and level, zoom, pan, heat map, scale and marks.

import { canvasOf, greyOf, heatOf, inputOf, marksOf, ringed } from "./draw.js";
import { settings } from "../panels/settings.js";
import { windowOf } from "./slices.js";
import { WORDS } from "../words.js";

/** @typedef {import("../types.js").SlicePixels} SlicePixels */
/** @typedef {import("../types.js").Maps} Maps */

const MOST_ZOOM = 12;
const STEP_PX = 40; // of a wheel or a touch pad, for one slice

export class Viewer {
  /** @param {HTMLCanvasElement} canvas @param {(index: number) => void} onMove called when another slice is shown */
  constructor(canvas, onMove) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.onMove = onMove;
    /** @type {SlicePixels[]} */
    this.slices = [];
    /** @type {(Maps | null)[]} */
    this.maps = [];
    this.index = 0;
    this.target = "";
    this.opacity = 0.6;
    this.beside = false;
    this.modelView = false;
    /** @type {[number, number] | null} the window the reader chose; null for that of the slice */
    this.limits = null;
    this.zoom = 1;
    this.shift = [0, 0];
    this.wheeled = 0;
    this.moved = false; // whether the reader chose the slice
    this.pending = false;
    /** @type {{slice: SlicePixels | null, limits: string, grey: HTMLCanvasElement | null}} */
    this.cache = { slice: null, limits: "", grey: null };
    this.heats = new Map();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Show another stack, or the same with more slices.
   * @param {SlicePixels[]} slices @param {(Maps | null)[]} maps @param {number} index @param {boolean} other */
  show(slices, maps, index, other) {
    if (other) {
      this.reset();
      this.moved = false;
    }
    this.slices = slices;
    this.maps = maps;
    this.heats.clear();
    this.cache.slice = null;
    this.index = Math.max(0, Math.min(index, slices.length - 1));
    this.draw();
  }

  /** Window, zoom and place as at first. */
  reset() {
    this.limits = null;
    this.zoom = 1;
    this.shift = [0, 0];
    this.draw();
  }

  /** @param {number} index */
  move(index) {
    const wanted = Math.max(0, Math.min(index, this.slices.length - 1));
    if (wanted === this.index || !this.slices.length) return;
    this.index = wanted;
    this.moved = true;
    this.draw();
    this.onMove(wanted);
  }

  /** Draw with the next frame, once however often it is asked for. */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, pen } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, width, height);
    const slice = this.slices[this.index];
    if (!slice) return;
    if (this.modelView && slice.input) {
      this.place(canvasOf(inputOf(slice.input)), 0, 0, width, height);
      return;
    }
    const panels = this.beside ? 2 : 1;
    for (let panel = 0; panel < panels; panel += 1) {
      const left = (panel * width) / panels;
      this.panel(slice, left, width / panels, height, panel === panels - 1);
    }
  }

  /** @param {SlicePixels} slice @param {number} left @param {number} width @param {number} height @param {boolean} withHeat */
  panel(slice, left, width, height, withHeat) {
    const { pen } = this;
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width, height);
    pen.clip();
    const where = this.place(this.grey(slice), left, 0, width, height);
    const heat = withHeat && this.opacity > 0 ? this.heat() : null;
    if (heat) {
      pen.globalAlpha = this.opacity;
      this.place(heat.picture, left, 0, width, height);
      pen.globalAlpha = 1;
      ringed(pen, where.x + (heat.peak[1] + 0.5) * where.scale, where.y + (heat.peak[0] + 0.5) * where.scale, 8);
    }
    this.marks(slice, left, width, height, where.scale);
    pen.restore();
  }

  /** Draw a picture as large as it fits, moved and enlarged as the reader wants.
   * @param {HTMLCanvasElement} picture @param {number} left @param {number} top @param {number} width @param {number} height */
  place(picture, left, top, width, height) {
    const scale = this.zoom * Math.min(width / picture.width, height / picture.height);
    const x = left + width / 2 + this.shift[0] - (picture.width * scale) / 2;
    const y = top + height / 2 + this.shift[1] - (picture.height * scale) / 2;
    this.pen.imageSmoothingEnabled = scale < 6;
    this.pen.imageSmoothingQuality = "high";
    this.pen.drawImage(picture, x, y, picture.width * scale, picture.height * scale);
    return { x, y, scale };
  }

  /** @param {SlicePixels} slice @param {number} left @param {number} width @param {number} height @param {number} scale */
  marks(slice, left, width, height, scale) {
    const { pen } = this;
    pen.font = "600 13px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = "#fff";
    pen.shadowColor = "#000";
    pen.shadowBlur = 3;
    const letters = marksOf(slice.orientation);
    if (letters) {
      pen.textAlign = "left";
      pen.fillText(letters.left, left + 8, height / 2);
      pen.textAlign = "right";
      pen.fillText(letters.right, left + width - 8, height / 2);
      pen.textAlign = "center";
      pen.fillText(letters.top, left + width / 2, 14);
      pen.fillText(letters.bottom, left + width / 2, height - 12);
    }
    if (slice.spacing) {
      const millimetre = scale / slice.spacing[1];
      const length = [100, 50, 20, 10, 5, 2, 1].find((mm) => mm * millimetre < width / 3) ?? 1;
      pen.fillRect(left + 12, height - 24, length * millimetre, 2);
      pen.textAlign = "left";
      pen.fillText(WORDS.millimetres(length), left + 12, height - 12);
    }
    const [low, high] = this.limits ?? windowOf(slice);
    pen.textAlign = "left";
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(WORDS.window(high - low, (low + high) / 2), left + 8, 14);
    pen.shadowBlur = 0;
  }

  /** @param {SlicePixels} slice */
  grey(slice) {
    const limits = this.limits ?? windowOf(slice);
    const { cache } = this;
    if (cache.slice !== slice || cache.limits !== String(limits) || !cache.grey) {
      cache.grey = canvasOf(greyOf(slice, limits));
      cache.slice = slice;
      cache.limits = String(limits);
    }
    return cache.grey;
  }

  /** The heat map of the chosen class on the slice that is shown; null where there is none. */
  heat() {
    const maps = this.maps[this.index];
    if (!maps || !(this.target in maps.values)) return null;
    const name = `${this.index} ${this.target} ${settings.colours}`;
    if (!this.heats.has(name)) {
      const heat = heatOf(maps, this.target, settings.colours);
      if (this.heats.size > 32) this.heats.clear();
      this.heats.set(name, heat && { picture: canvasOf(heat.image), peak: heat.peak });
    }
    return this.heats.get(name);
  }

  /** Wheel and keys scroll; dragging windows, with shift or two fingers it moves; control and wheel zoom. */
  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && this.slices.length < 2) return; // the page is scrolled
      event.preventDefault();
      if (event.ctrlKey) {
        this.enlarge(Math.exp(-event.deltaY / 300));
        return;
      }
      this.wheeled += event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * STEP_PX : event.deltaY;
      if (Math.abs(this.wheeled) < STEP_PX) return;
      this.move(this.index + Math.sign(this.wheeled));
      this.wheeled = 0;
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    canvas.addEventListener("keydown", (event) => {
      /** @type {Record<string, () => void>} */
      const keys = {
        ArrowUp: () => this.move(this.index - 1),
        ArrowLeft: () => this.move(this.index - 1),
        ArrowDown: () => this.move(this.index + 1),
        ArrowRight: () => this.move(this.index + 1),
        PageUp: () => this.move(this.index - 10),
        PageDown: () => this.move(this.index + 10),
        Home: () => this.move(0),
        End: () => this.move(this.slices.length - 1),
        "+": () => this.enlarge(1.25),
        "-": () => this.enlarge(0.8),
        0: () => this.reset(),
        "[": () => this.adjust(0, -20),
        "]": () => this.adjust(0, 20),
        "{": () => this.adjust(-20, 0),
        "}": () => this.adjust(20, 0),
      };
      if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    /** @type {Map<number, [number, number]>} */
    const pointers = new Map();
    let scrolled = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      scrolled = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      if (other) {
        const distance = (/** @type {number[]} */ at) => Math.hypot(at[0] - other[0], at[1] - other[1]);
        this.enlarge(distance([event.clientX, event.clientY]) / Math.max(1, distance(before)));
        this.pan(dx / 2, dy / 2);
      } else if (event.pointerType === "touch" && this.zoom === 1) {
        scrolled += dy;
        const steps = Math.trunc(scrolled / 12);
        scrolled -= 12 * steps;
        this.move(this.index - steps);
      } else if (event.shiftKey || event.buttons === 4 || event.pointerType === "touch") {
        this.pan(dx, dy);
      } else {
        this.adjust(dx, dy);
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => pointers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
  }

  /** Set the window by sliders, from -1 to 1 each, beside that of the slice. @param {number} brightness @param {number} contrast */
  tune(brightness, contrast) {
    const slice = this.slices[this.index];
    if (!slice) return;
    const [low, high] = windowOf(slice);
    const width = (high - low) * Math.exp(-2 * contrast);
    const level = (low + high) / 2 - brightness * (high - low);
    this.limits = [level - width / 2, level + width / 2];
    this.draw();
  }

  /** @param {number} factor */
  enlarge(factor) {
    this.zoom = Math.max(1, Math.min(MOST_ZOOM, this.zoom * factor));
    if (this.zoom === 1) this.shift = [0, 0];
    this.draw();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    const { clientWidth: width, clientHeight: height } = this.canvas; // a part always stays in sight
    const within = (/** @type {number} */ to, /** @type {number} */ size) => Math.max(-0.4 * size * this.zoom, Math.min(0.4 * size * this.zoom, to));
    this.shift = [within(this.shift[0] + dx, width), within(this.shift[1] + dy, height)];
    this.draw();
  }

  /** Widen the window by dx and raise its level by dy, in pixels of the pointer. @param {number} dx @param {number} dy */
  adjust(dx, dy) {
    const slice = this.slices[this.index];
    if (!slice) return;
    const [low, high] = this.limits ?? windowOf(slice);
    const width = Math.max((high - low) * Math.exp(dx / 200), 1e-6);
    const level = (low + high) / 2 + (dy * (high - low)) / 300;
    this.limits = [level - width / 2, level + width / 2];
    this.draw();
  }
}
