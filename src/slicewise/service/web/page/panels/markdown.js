// The Markdown of model cards to elements: headings, paragraphs, lists, tables, code. Text stays text.

import { element } from "../dom.js";

/** Bold and code of a line; all else as it stands. @param {string} text */
const inline = (text) =>
  text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**") && part.endsWith("**") && part.length > 4) return element("strong", {}, part.slice(2, -2));
    return part.startsWith("`") && part.endsWith("`") && part.length > 2 ? element("code", {}, part.slice(1, -1)) : part;
  });

/** @param {string} line */
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

/** @param {string[]} lines of which the second is a rule */
function tabular([head, , ...rows]) {
  const row = (/** @type {string} */ line, /** @type {string} */ first, /** @type {string} */ scope) =>
    element("tr", {}, ...cells(line).map((cell, index) => element(index ? (scope === "col" ? "th" : "td") : first, index && scope === "row" ? {} : { scope }, ...inline(cell))));
  const body = rows.map((line) => row(line, "th", "row"));
  return element("div", { class: "scroll", role: "group", tabindex: 0, "aria-label": cells(head).join(", ") }, element("table", {}, element("thead", {}, row(head, "th", "col")), element("tbody", {}, ...body)));
}

/** Lines that go on are joined to their item. @param {string[]} lines */
function list(lines) {
  const items = lines.join("\n").split(/^[*-] /m).filter((item) => item.trim());
  return element("ul", {}, ...items.map((item) => element("li", {}, ...inline(item.replaceAll("\n", " ")))));
}

/** What stands between blank lines or in a fence. @param {string} block @param {number} level of the largest heading */
function blockOf(block, level) {
  const fence = /^```[^\n]*\n([\s\S]*?)\n?```$/.exec(block);
  if (fence) return element("pre", {}, fence[1]);
  const heading = /^(#+) (.*)$/.exec(block);
  if (heading) return element(`h${Math.min(6, level + heading[1].length - 1)}`, {}, ...inline(heading[2]));
  const lines = block.split("\n");
  if (/^\|[-:| ]+\|$/.test(lines[1] ?? "")) return tabular(lines);
  return /^[*-] /.test(block) ? list(lines) : element("p", {}, ...inline(lines.join(" ")));
}

/** @param {string} text @param {number} level of the largest heading */
export function markdown(text, level) {
  const blocks = text.split(/(^```[\s\S]*?^```$)|^(#+ .*)$|\n\s*\n/m).filter((block) => block?.trim());
  return blocks.map((block) => blockOf(block.trim(), level));
}

/** The part below a heading of the second level; null where there is none. @param {string} text @param {string} title */
export function part(text, title) {
  const found = text.split(/^## /m).find((one) => one.startsWith(`${title}\n`));
  return found ? found.slice(title.length) : null;
}
