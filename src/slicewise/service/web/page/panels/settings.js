// What a reader chooses, kept in the browser: how to answer, how it looks, and where panels stand.

import { at, button, element } from "../dom.js";
import { usePalette } from "../format.js";
import { WORDS } from "../words.js";

// Below a path prefix, several services may share the storage of one host.
const PLACE = `slicewise-settings:${new URL(".", document.baseURI).pathname}`;
const DEFAULTS = {
  threshold: "",
  tta: false,
  colours: "ember",
  opacity: "60",
  chart: "bars",
  palette: "safe",
  theme: "system",
  /** @type {string[]} */
  order: [],
  open: ["gallery"],
};

/** What is kept, where it still is what it must be. @returns {typeof DEFAULTS} */
function kept() {
  /** @type {Record<string, any>} */
  const found = structuredClone(DEFAULTS);
  try {
    const stored = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    for (const [name, value] of Object.entries(DEFAULTS)) {
      if (fits(name, value, stored?.[name])) found[name] = stored[name];
    }
  } catch {
    // no storage, or none of ours
  }
  return /** @type {typeof DEFAULTS} */ (found);
}

/** @param {string} name @param {any} usual @param {any} value */
function fits(name, usual, value) {
  if (Array.isArray(usual)) return Array.isArray(value) && value.every((one) => typeof one === "string");
  const field = /** @type {HTMLInputElement | HTMLSelectElement | null} */ (document.querySelector(`#settings [name=${name}]`));
  if (field instanceof HTMLSelectElement && ![...field.options].some((one) => one.value === value)) return false;
  if (name === "opacity" || name === "threshold") return typeof value === "string" && Number(value) >= 0 && Number(value) <= (name === "opacity" ? 100 : 1);
  return typeof value === typeof usual;
}

export const settings = kept();

/** @param {Record<string, any>} changed beside what another tab may have kept meanwhile */
function keep(changed) {
  Object.assign(settings, changed);
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...kept(), ...changed }));
  } catch {
    // they hold for this visit
  }
}

/** Set one and keep it. @param {string} name @param {any} value */
export function choose(name, value) {
  keep({ [name]: value });
}

/** What the settings want of the service, beside the files.
 * @param {boolean} threshold whether the model has one @returns {Record<string, string>} */
export function requestOptions(threshold) {
  return { ...(settings.tta && { tta: "true" }), ...(threshold && settings.threshold && { threshold: settings.threshold }) };
}

/** Bind the fields of the form, each named after its setting. @param {() => void} changed */
export function bindSettings(changed) {
  const form = /** @type {HTMLFormElement} */ (at("settings"));
  const fields = /** @type {HTMLInputElement[]} */ ([...form.elements].filter((one) => one.getAttribute("name")));
  const fit = () => {
    for (const field of fields) {
      const value = /** @type {any} */ (settings)[field.name];
      if (field.type === "checkbox") field.checked = value;
      else field.value = value;
    }
    dress();
  };
  form.addEventListener("change", (event) => /** @type {HTMLInputElement} */ (event.target).reportValidity());
  form.addEventListener("input", (event) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    if (!field.checkValidity()) return;
    choose(field.name, field.type === "checkbox" ? field.checked : field.value);
    dress();
    changed();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  at("forget").addEventListener("click", () => {
    keep(structuredClone(DEFAULTS));
    fit();
    changed();
  });
  fit();
}

function dress() {
  usePalette(settings.palette);
  wear(settings.theme);
}

/** Light, dark, or as the system is: the style sheets ask for one, this answers.
 * @param {string} theme */
function wear(theme) {
  document.documentElement.style.setProperty("color-scheme", theme === "system" ? "light dark" : theme);
  const media = { light: "not all", dark: "screen", system: "(prefers-color-scheme: dark)" }[theme] ?? "";
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (!(rule instanceof CSSMediaRule)) continue;
      if (DARK.has(rule) || rule.media.mediaText.includes("prefers-color-scheme")) {
        DARK.add(rule);
        rule.media.mediaText = media;
      }
    }
  }
}
/** @type {Set<CSSMediaRule>} */
const DARK = new Set();

/** Panels that open, close and change places; where they stand is kept. @param {HTMLElement} place */
export function bindPanels(place) {
  const panels = () => /** @type {HTMLElement[]} */ ([...place.children]);
  for (const id of settings.order) {
    const panel = panels().find((one) => one.id === id);
    if (panel) place.append(panel);
  }
  for (const panel of panels()) {
    const title = panel.querySelector("h2")?.textContent ?? "";
    const move = (/** @type {number} */ by) => () => {
      const all = panels();
      const to = all.indexOf(panel) + by;
      if (to < 0 || to >= all.length) return;
      all[to][by < 0 ? "before" : "after"](panel);
      choose("order", panels().map((one) => one.id));
    };
    const up = button("↑", move(-1), { class: "link", "aria-label": WORDS.moveUp(title), title: WORDS.moveUp(title) });
    const down = button("↓", move(1), { class: "link", "aria-label": WORDS.moveDown(title), title: WORDS.moveDown(title) });
    const held = /** @type {HTMLDetailsElement} */ (panel);
    held.open = settings.open.includes(panel.id);
    held.addEventListener("toggle", () => choose("open", panels().flatMap((one) => (/** @type {HTMLDetailsElement} */ (one).open ? [one.id] : []))));
    panel.querySelector("summary")?.after(element("p", { class: "tools" }, up, down));
  }
}
