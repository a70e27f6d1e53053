// The panel of an evaluation: a metrics.json that the reader opens, or one that the service makes.

import * as api from "../api.js";
import { dashboard } from "./dashboard.js";
import { at, element } from "../dom.js";
import { MEASURED, WORDS } from "../words.js";

const MOST_BYTES = 32 * 2 ** 20;
const NEEDED = { n: "number", groups: "number", accuracy: "object", per_class: "object", tumor: "object" };

/** Whether a file may be a metrics.json, by its name. @param {File} file */
export const isMetrics = (file) => /\.json$/i.test(file.name);

/** Show a metrics.json; nothing is sent. @param {File} file */
export async function open(file) {
  at("evaluation").open = true;
  try {
    const report = await parsed(file);
    at("evaluateBad").textContent = "";
    show(report, file.name, true);
  } catch (error) {
    failed(error);
  }
  at("evaluation").scrollIntoView({ block: "start" });
}

/** @param {File} file */
async function parsed(file) {
  if (file.size > MOST_BYTES) throw new Error(MEASURED.tooLong(file.name, file.size, MOST_BYTES));
  const text = await file.text();
  let report;
  try {
    report = JSON.parse(text);
  } catch (error) {
    throw new Error(MEASURED.notJson(file.name, /** @type {Error} */ (error).message));
  }
  const missing = Object.entries(NEEDED).flatMap(([name, kind]) => (typeof report?.[name] === kind && report[name] !== null ? [] : [name]));
  if (missing.length) throw new Error(MEASURED.notMetrics(file.name, MEASURED.without(missing.join(", "))));
  return report;
}

/** @param {any} report @param {string} name @param {boolean} pictures whether its pictures may lie beside it */
function show(report, name, pictures) {
  const { bundle, split } = report;
  const title = element("h3", {}, MEASURED.title(typeof bundle?.name === "string" ? `${bundle.name} ${bundle.version}` : MEASURED.severalModels, split));
  const curves = pictures ? element("p", { class: "lead" }, MEASURED.curves) : null;
  at("measured").replaceChildren(element("article", { class: "card" }, title, dashboard(report), curves));
  at("evaluateSaid").textContent = pictures ? name : MEASURED.measured;
}

/** What is going on, or went wrong; nothing of an earlier run stays beside it. @param {string} said @param {string} [bad] */
function tell(said, bad = "") {
  at("measured").replaceChildren();
  at("evaluateSaid").textContent = said;
  at("evaluateBad").textContent = bad;
}

/** @param {any} error */
const failed = (error) => (error.name === "AbortError" ? tell(WORDS.cancelled) : tell("", error.message));

/** Let the service measure what the form names. @param {HTMLFormElement} form */
async function measure(form) {
  const { manifest, split, resamples, allow_seen: seen } = /** @type {any} */ (form.elements);
  const stop = new AbortController();
  const send = form.querySelector("button");
  at("evaluateStop").onclick = () => stop.abort();
  at("evaluateStop").hidden = false;
  send?.toggleAttribute("disabled", true);
  tell(MEASURED.measuring);
  try {
    const wanted = { manifest: manifest.value.trim(), split: split.value || null, resamples: Number(resamples.value), allow_seen: seen.checked };
    show((await api.evaluate(wanted, stop.signal)).report, manifest.value, false);
  } catch (error) {
    failed(error);
  }
  at("evaluateStop").hidden = true;
  send?.toggleAttribute("disabled", false);
}

export function bindEvaluation() {
  at("metrics").addEventListener("change", async () => {
    const [file] = at("metrics").files;
    if (file) await open(file);
    at("metrics").value = "";
  });
  at("evaluate").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    measure(at("evaluate"));
  });
}
