// The answer for a slice or a series in words and charts; DOM only, no requests.

import { button, element, meaning } from "./dom.js";
import { settings } from "./settings.js";
import { DECISIONS, MEANINGS, WORDS, look, percent } from "./words.js";

/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./types.js").Study} Study */

const SHADES = /** @type {Record<string, string>} */ ({ accept: "good", review: "caution", reject: "alert" });

/** Label, decision and reasons of a slice or a series.
 * @param {Prediction | Study} answer @param {Record<string, string>} texts each reason in words */
export function verdict(answer, texts) {
  const rejected = answer.decision === "reject";
  const sure = !rejected && !answer.headline.startsWith("Unsure"); // else no class has a colour
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
      element("span", { class: `badge ${SHADES[answer.decision]}` }, answer.decision),
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
    return button("", () => onPick(index), {
      class: [withheld ? "withheld" : "", key.has(one.source) ? "key" : "", index === shown ? "shown" : ""].join(" "),
      style: { height: `${Math.max(2, height * 100).toFixed(1)}%` },
      title: words,
      "aria-label": words,
      tabindex: index === shown ? 0 : -1,
    });
  });
  return element(
    "section",
    { class: "study" },
    element(
      "div",
      { class: "profile", role: "group", "aria-label": WORDS.profile },
      ...columns,
      limit === null ? null : element("span", { class: "limit", style: { bottom: `${(limit * 100).toFixed(1)}%` } }),
    ),
    element("p", { class: "lead" }, `${WORDS.profile}: ${WORDS.profileOf(study.study.slices_flagged ?? 0, study.study.slices_total)}`),
    ...study.notes.map((note) => element("p", { class: "lead" }, note)),
    element(
      "p",
      {},
      `${WORDS.keySlices}: `,
      ...predictions.flatMap((one, index) =>
        key.has(one.source) ? [button(String(index + 1), () => onPick(index), { class: "link" }), " "] : [],
      ),
    ),
  );
}
