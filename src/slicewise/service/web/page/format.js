// Numbers as a reader sees them, and how classes look.

/** @type {Record<string, {title: string, safe: string, classic: string}>} */
const CLASSES = {
  glioma: { title: "Glioma", safe: "#d55e00", classic: "#ef4444" },
  meningioma: { title: "Meningioma", safe: "#e69f00", classic: "#f59e0b" },
  no_tumor: { title: "No tumor", safe: "#009e73", classic: "#10b981" },
  pituitary: { title: "Pituitary tumor", safe: "#0072b2", classic: "#6366f1" },
  tumor: { title: "Tumor", safe: "#d55e00", classic: "#ef4444" },
};
const SPARE = ["#0ea5e9", "#d946ef", "#84cc16", "#f97316", "#14b8a6", "#a855f7"];
/** @type {"safe" | "classic"} */
let palette = "safe";

/** Which colours classes have from now on. @param {string} name */
export function usePalette(name) {
  palette = name === "classic" ? "classic" : "safe";
}

/** How a class is shown; classes of a user's own model get a spare colour.
 * @param {string} name @param {number} [index] */
export function look(name, index = 0) {
  const words = name.replaceAll("_", " ");
  const known = Object.hasOwn(CLASSES, name) ? CLASSES[name] : null;
  if (known) return { title: known.title, colour: known[palette] };
  return { title: words.charAt(0).toUpperCase() + words.slice(1), colour: SPARE[index % SPARE.length] };
}

/** A share in percent that never rounds to certainty. @param {number} share */
export function percent(share) {
  const value = share * 100;
  if (value > 99.9 && value < 100) return ">\u00a099.9\u00a0%";
  if (value < 0.1 && value > 0) return "<\u00a00.1\u00a0%";
  return `${value.toFixed(1)}\u00a0%`;
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 1 : 0)} MiB`;
}

/** @param {number} value */
export function amount(value) {
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

export const thousands = (/** @type {any} */ n) => (typeof n === "number" ? n.toLocaleString("en") : "?");
