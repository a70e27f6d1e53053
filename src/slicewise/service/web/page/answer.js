// The answer for a slice or a series in words and bars; DOM only, no requests.

import { DECISIONS, MEANINGS, WORDS, look, percent } from "./words.js";

/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./types.js").Study} Study */

/** An element with attributes and children; text is never taken for HTML.
 * @param {string} name @param {Record<string, any>} [attributes] @param {...(Node | string | null)} children */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") Object.entries(value).forEach(([part, to]) => made.style.setProperty(part, String(to)));
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SHADES = /** @type {Record<string, string>} */ ({ accept: "good", review: "caution", reject: "alert" });

/** Label, decision and reasons of a slice or a series.
 * @param {Prediction | Study} answer @param {Record<string, string>} texts each reason in words */
export function verdict(answer, texts) {
  const rejected = answer.decision === "reject";
  const sure = !rejected && !answer.headline.startsWith("Unsure"); // else no class has a colour
  const label = "study" in answer ? answer.study.label : answer.label;
  const share = "study" in answer ? "" : percent(answer.confidence);
  const reasons = answer.reasons.map((reason) =>
    element("li", {}, element("details", {}, element("summary", {}, texts[reason] ?? reason), MEANINGS[reason] ?? "")),
  );
  return element(
    "div",
    { class: "verdict" },
    element(
      "p",
      { class: "label" },
      element("span", { class: "dot", style: sure ? { background: look(label).colour } : {} }),
      element("strong", {}, answer.headline),
      rejected ? null : element("span", { class: "lead" }, share),
    ),
    element("p", {}, answer.summary),
    element(
      "p",
      {},
      element("span", { class: `badge ${SHADES[answer.decision]}` }, answer.decision),
      ` ${DECISIONS[answer.decision]}`,
    ),
    reasons.length ? element("ul", { class: "reasons" }, ...reasons) : element("p", { class: "lead" }, WORDS.within),
  );
}

/** Calibrated probabilities as bars; a withheld answer shows none. @param {Prediction} prediction */
export function bars(prediction) {
  if (prediction.decision === "reject") return element("div");
  const rows = Object.entries(prediction.probabilities).map(([name, share], index) =>
    element(
      "div",
      { class: name === prediction.label ? "top" : null },
      element("dt", {}, look(name, index).title),
      element("dd", {}, bar(share, look(name, index).colour, null), element("span", { class: "value" }, percent(share))),
    ),
  );
  const tumor = prediction.tumor_probability;
  const limit = prediction.threshold;
  return element(
    "section",
    { "aria-label": WORDS.probability },
    element("dl", { class: "bars" }, ...rows),
    tumor === null || limit === null
      ? null
      : element("div", { class: "tumor" }, element("p", {}, `${WORDS.tumor}, ${WORDS.threshold} marked`), bar(tumor, "var(--bar)", limit)),
    prediction.prediction_set
      ? element("p", { class: "lead" }, `${WORDS.set}: ${prediction.prediction_set.map((name) => look(name).title).join(", ")}`)
      : null,
  );
}

/** @param {number} share @param {string} colour @param {number | null} limit */
function bar(share, colour, limit) {
  return element(
    "span",
    { class: "track" },
    element("span", { class: "fill", style: { width: `${(share * 100).toFixed(2)}%`, background: colour } }),
    limit === null ? null : element("span", { class: "limit", style: { left: `${(limit * 100).toFixed(2)}%` } }),
  );
}

/** The answer for a series: what was found, a bar a slice to click, and its key slices.
 * @param {Study} study @param {Prediction[]} predictions in the order of the series
 * @param {number} shown which slice is shown @param {(index: number) => void} onPick */
export function profile(study, predictions, shown, onPick) {
  const key = new Set(study.study.key_slices);
  const limit = predictions.find((one) => one.threshold !== null)?.threshold ?? null;
  const columns = predictions.map((one, index) => {
    const withheld = one.decision === "reject";
    const height = withheld ? 1 : one.tumor_probability ?? one.confidence;
    const words = `${WORDS.slice} ${index + 1}: ${withheld ? WORDS.withheld : percent(height)}`;
    return element("button", {
      type: "button",
      class: [withheld ? "withheld" : "", key.has(one.source) ? "key" : "", index === shown ? "shown" : ""].join(" "),
      style: { height: `${Math.max(2, height * 100).toFixed(1)}%` },
      title: words,
      "aria-label": words,
      tabindex: index === shown ? 0 : -1,
      onclick: () => onPick(index),
    });
  });
  const total = study.study.slices_total;
  return element(
    "section",
    { class: "study" },
    element(
      "div",
      { class: "profile", role: "group", "aria-label": WORDS.profile },
      ...columns,
      limit === null ? null : element("span", { class: "limit", style: { bottom: `${(limit * 100).toFixed(1)}%` } }),
    ),
    element("p", { class: "lead" }, `${WORDS.profile}: ${study.study.slices_flagged ?? 0} ${WORDS.of} ${total} at or above the ${WORDS.threshold} (dashed); hatched: withheld.`),
    ...study.notes.map((note) => element("p", { class: "lead" }, note)),
    element(
      "p",
      {},
      `${WORDS.keySlices}: `,
      ...predictions.flatMap((one, index) =>
        key.has(one.source) ? [element("button", { type: "button", class: "link", onclick: () => onPick(index) }, String(index + 1)), " "] : [],
      ),
    ),
  );
}
