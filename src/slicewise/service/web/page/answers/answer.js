// The answer for a slice or a series in words and charts; DOM only, no requests.

import { badge, button, element, meaning } from "../dom.js";
import { look, percent } from "../format.js";
import { settings } from "../panels/settings.js";
import { DECISIONS, MEANINGS, WORDS } from "../words.js";

/** @typedef {import("../types.js").Prediction} Prediction */
/** @typedef {import("../types.js").Study} Study */

/** Label, decision and reasons of a slice or a series.
 * @param {Prediction | Study} answer @param {Record<string, string>} texts each reason in words */
export function verdict(answer, texts) {
  const rejected = answer.decision === "reject";
  const sure = !rejected && !answer.unsure; // else no class has a colour
  const label = "study" in answer ? answer.study.label : answer.label;
  const share = "study" in answer ? "" : percent(answer.confidence);
  const reasons = answer.reasons.map((reason) =>
    element("li", {}, meaning(texts[reason] ?? reason, MEANINGS[reason] ?? "")),
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
      badge(answer.decision),
      ` ${DECISIONS[answer.decision]}`,
    ),
    reasons.length ? element("ul", { class: "reasons" }, ...reasons) : element("p", { class: "lead" }, WORDS.within),
  );
}

/** Calibrated probabilities; a withheld answer shows none. @param {Prediction} prediction */
export function probabilities(prediction) {
  if (prediction.decision === "reject") return element("div");
  const { tumor_probability: tumor, threshold: limit, prediction_set: set } = prediction;
  return element(
    "section",
    { "aria-label": WORDS.probability },
    settings.chart === "doughnut" ? doughnut(prediction) : bars(prediction),
    tumor === null || limit === null
      ? null
      : element(
          "div",
          { class: "tumor" },
          element("p", {}, `${WORDS.tumor} ${percent(tumor)}; ${WORDS.marked}: ${percent(limit)}`),
          bar(tumor, "var(--bar)", limit),
          meaning(WORDS.meaning, WORDS.tumorMeans),
        ),
    set && element("div", { class: "set" }, element("p", {}, `${WORDS.set}: ${set.map((name) => look(name).title).join(", ")}`), meaning(WORDS.meaning, WORDS.setMeans)),
  );
}

/** @param {Prediction} prediction */
function bars(prediction) {
  const rows = Object.entries(prediction.probabilities).map(([name, share], index) =>
    element(
      "div",
      { class: name === prediction.label ? "top" : null },
      element("dt", {}, look(name, index).title),
      element("dd", {}, bar(share, look(name, index).colour, null), element("span", { class: "value" }, percent(share))),
    ),
  );
  return element("dl", { class: "bars" }, ...rows);
}

/** The shares as a ring, with a legend that says the same in words. @param {Prediction} prediction */
function doughnut(prediction) {
  const classes = Object.entries(prediction.probabilities);
  let from = 0;
  const parts = classes.map(([name, share], index) => {
    const part = `${look(name, index).colour} ${from * 360}deg ${(from + share) * 360}deg`;
    from += share;
    return part;
  });
  const legend = classes.map(([name, share], index) => {
    const { title, colour } = look(name, index);
    return element("li", { class: name === prediction.label ? "top" : null }, element("span", { class: "dot", style: { background: colour } }), `${title} ${percent(share)}`);
  });
  const ring = element("div", { class: "ring", style: { background: `conic-gradient(${parts.join(", ")})` } }, element("span", {}, percent(prediction.confidence)));
  return element("div", { class: "doughnut" }, ring, element("ul", {}, ...legend));
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

/** The answers along a series: a bar a slice to pick, and its key slices.
 * @param {Study} study @param {(Prediction | null)[]} predictions in the order of the series
 * @param {(index: number) => void} onPick */
export function profile(study, predictions, onPick) {
  const key = new Set(study.study.key_slices);
  const limit = predictions.find((one) => one !== null && one.threshold !== null)?.threshold ?? null;
  const flagged = predictions.filter((one) => one !== null && one.decision !== "reject" && one.tumor_flag);
  const title = limit === null ? WORDS.confidences : WORDS.profile;
  const columns = predictions.map((one, index) => {
    const withheld = one === null || one.decision === "reject";
    const height = withheld ? 1 : one.tumor_probability ?? one.confidence;
    const words = WORDS.barOf(index + 1, withheld ? WORDS.withheld : percent(height));
    return button("", () => onPick(index), {
      class: [withheld ? "withheld" : "", one !== null && key.has(one.source) ? "key" : ""].join(" "),
      style: { height: `${Math.max(2, height * 100).toFixed(1)}%` },
      title: words,
      "aria-label": words,
      tabindex: -1,
    });
  });
  const along = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = step && columns[columns.indexOf(/** @type {HTMLElement} */ (event.target)) + step];
    if (!next) return;
    event.preventDefault();
    next.click();
    next.focus();
  };
  return element(
    "section",
    { class: "study" },
    element(
      "div",
      { class: "profile", role: "group", "aria-label": title, onkeydown: along },
      ...columns,
      limit === null ? null : element("span", { class: "limit", style: { bottom: `${(limit * 100).toFixed(1)}%` } }),
    ),
    element("p", { class: "lead" }, `${title}${limit === null ? "" : WORDS.profileOf(flagged.length, predictions.length)}; ${WORDS.hatched}`),
    ...study.notes.map((note) => element("p", { class: "lead" }, note)),
    element(
      "p",
      {},
      `${WORDS.keySlices}: `,
      ...predictions.flatMap((one, index) => (one !== null && key.has(one.source) ? [button(String(index + 1), () => onPick(index), { class: "link" }), " "] : [])),
    ),
  );
}

/** Mark which slice of a profile is shown. @param {HTMLElement} place @param {number} shown */
export function markShown(place, shown) {
  place.querySelectorAll(".profile button").forEach((one, index) => {
    one.classList.toggle("shown", index === shown);
    one.setAttribute("tabindex", index === shown ? "0" : "-1");
    one.toggleAttribute("aria-current", index === shown);
  });
}
