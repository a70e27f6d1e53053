// Making and finding elements; text is never taken for HTML.

import { WORDS } from "./words.js";

/** @typedef {Node | string | null | undefined} Child */

/** The element of an id. @param {string} id @returns {any} */
export const at = (id) => document.getElementById(id);

/** An element with attributes, listeners (`onclick`) and children.
 * @param {string} name @param {Record<string, any>} [attributes] @param {...Child} children */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.entries(value).forEach(([part, to]) => made.style.setProperty(part, String(to)));
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** @param {string} words @param {() => void} onclick @param {Record<string, any>} [more] */
export function button(words, onclick, more = {}) {
  return element("button", { type: "button", onclick, ...more }, words);
}

/** The word for a decision, in its colour. @param {string} decision */
export function badge(decision) {
  const shade = { accept: "good", review: "caution", reject: "alert" }[decision] ?? "";
  return element("span", { class: `badge ${shade}` }, decision);
}

/** A term and what it means, closed at first. @param {string} words @param {...Child} inside */
export function meaning(words, ...inside) {
  return element("details", { class: "meaning" }, element("summary", {}, words), ...inside);
}

/** Give the elements of the page their words: `data-words` is the text, `data-label` the name. */
export function fill() {
  const words = /** @type {Record<string, any>} */ (WORDS);
  for (const one of document.querySelectorAll("[data-words]")) one.textContent = words[one.getAttribute("data-words") ?? ""];
  at("method").replaceChildren(...WORDS.method.map((step) => element("li", {}, step)));
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", words[one.getAttribute("data-label") ?? ""]);
}

/** Give the reader a file. @param {Blob} content @param {string} name */
export function save(content, name) {
  const address = URL.createObjectURL(content);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
