// The same files answered by each loaded model, for reviewers.

import { probabilities, verdict } from "./answer.js";
import * as api from "../api.js";
import { button, element } from "../dom.js";
import { WORDS } from "../words.js";

/** @typedef {import("../types.js").Prediction} Prediction */
/** @typedef {import("../scan/visit.js").Stack} Stack */

/** What each model answers for a slice, or the button that asks them.
 * @param {Stack} stack @param {Prediction} prediction @param {import("../types.js").Model[]} models
 * @param {Record<string, string>} texts @param {() => void} changed */
export function comparison(stack, prediction, models, texts, changed) {
  const { state, answers, problem } = stack.compared;
  const found = answers.flatMap((one) => one.get(prediction.source) ?? []);
  if (state === "done") return [element("h3", {}, WORDS.compared), element("div", { class: "models" }, ...found.map((one) => answered(one, texts)))];
  if (state === "running") return [element("p", { role: "status" }, WORDS.comparing)];
  return [
    button(WORDS.compare, () => compare(stack, models, changed)),
    problem ? element("p", { class: "errors", role: "alert" }, problem) : "",
  ];
}

/** @param {Prediction} one @param {Record<string, string>} texts */
function answered(one, texts) {
  return element("section", {}, element("h4", {}, `${one.bundle.name} ${one.bundle.version}`), verdict(one, texts), probabilities(one));
}

/** Ask every model, under the options of the first answer; all of them count, or none.
 * @param {Stack} stack @param {import("../types.js").Model[]} models @param {() => void} changed */
async function compare(stack, models, changed) {
  stack.compared = { state: "running", answers: [], problem: "" };
  changed();
  try {
    const file = await stack.job.whole();
    const answers = [];
    for (const { arm } of models) {
      const { predictions } = await api.predict([file], { ...stack.options, arm });
      answers.push(new Map(predictions.map((one) => [one.source, one])));
    }
    stack.compared = { state: "done", answers, problem: "" };
  } catch (error) {
    stack.compared = { state: "idle", answers: [], problem: /** @type {Error} */ (error).message };
  }
  changed();
}
