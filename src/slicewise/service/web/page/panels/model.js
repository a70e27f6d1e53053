// The panel of the model: what it is, how it decides, what was measured of it, and its card.

import * as api from "../api.js";
import { dashboard, facts, metricsTable, notice } from "./dashboard.js";
import { at, element, meaning } from "../dom.js";
import { look } from "../format.js";
import { markdown, part } from "./markdown.js";
import { LICENCES, MEASURED, MODEL } from "../words.js";

/** @typedef {import("../types.js").Model} Model */

/** Whether it is filled, or being filled. */
let filled = false;

/** Fill the panel where it is open and not yet filled. */
export async function showModels() {
  if (filled || !at("model").open) return;
  filled = true;
  try {
    const { models } = await api.models();
    at("models").replaceChildren(...(await Promise.all(models.map(described))));
  } catch (error) {
    filled = false;
    at("models").replaceChildren(element("p", { class: "errors", role: "alert" }, /** @type {Error} */ (error).message));
  }
}

/** Fill it when it is opened; the link to it opens it. */
export function bindModel() {
  const open = () => {
    if (window.location.hash === "#model") at("model").open = true;
  };
  at("model").addEventListener("toggle", showModels);
  at("name").addEventListener("click", () => (at("model").open = true));
  window.addEventListener("hashchange", open);
  open();
}

/** @param {Model} model */
async function described(model) {
  const { bundle, decision, evaluation } = model;
  const card = await api.card(bundle.sha256);
  const of = (/** @type {string} */ title) => (card ? markdown(part(card, title) ?? "", 5) : []);
  const names = model.classes.map((name) => look(name).title).join(", ");
  return element(
    "article",
    { class: "card", "aria-label": `${bundle.name} ${bundle.version}` },
    element("h3", {}, `${bundle.name} ${bundle.version}`),
    facts([
      [MODEL.role, `${model.arm}: ${MODEL.roles[model.arm] ?? ""}`],
      [MODEL.identity, element("code", {}, bundle.sha256)],
      [MODEL.task, model.task],
      [MODEL.classes, model.negative_class ? `${names}; ${MODEL.noTumor(look(model.negative_class).title)}` : names],
      [MODEL.architecture, model.architecture],
      [MODEL.input, MODEL.pixels(model.input_size)],
      [MODEL.made, model.created],
      [MODEL.use, model.intended_use],
    ]),
    element("h4", {}, MODEL.decision),
    element("ul", {}, ...rules(decision)),
    element("h4", {}, MODEL.data),
    ...or(of("Data"), evaluation.description ?? MODEL.noCard),
    element("h4", {}, MODEL.fails),
    ...or(of("Limits"), MODEL.noCard),
    element("h4", {}, MODEL.licences),
    ...licences(model.licences),
    element("h4", {}, MODEL.metrics),
    Object.keys(evaluation).length ? dashboard(evaluation, measured) : element("p", {}, MODEL.noMetrics),
    card ? meaning(MODEL.card, ...markdown(card, 5)) : element("p", { class: "lead" }, MODEL.noCard),
  );
}

/** @param {Record<string, any>} evaluation */
const measured = (evaluation) => metricsTable(evaluation, MEASURED.metricsOf(evaluation.split, evaluation.n, evaluation.groups));

/** @param {Node[]} known @param {string} words where there is none */
const or = (known, words) => (known.length ? known : [element("p", { class: "lead" }, words)]);

/** The decision rule, a sentence for each part. @param {Record<string, any>} rule */
function rules(rule) {
  const ood = rule.out_of_distribution;
  const words = [MODEL.flagged(rule.operating_point), MODEL.calibrated(rule), MODEL.accepted(rule.acceptance), MODEL.sets(rule.conformal), MODEL.refused, MODEL.outOfDistribution(ood)];
  const kinds = ood && meaning(MODEL.kinds(ood.fitted_on_kinds), ood.fitted_on_kinds.map((/** @type {string} */ name) => name.replaceAll("_", " ")).join(", "));
  return words.map((sentence, index) => element("li", {}, sentence, index === words.length - 1 ? kinds : null));
}

/** @param {Record<string, string>} given */
function licences(given) {
  const pairs = Object.entries(given);
  if (!pairs.length) return [element("p", { class: "lead" }, MODEL.noLicences)];
  const closed = pairs.filter(([, name]) => LICENCES[0][0].test(name)).map(([what]) => what);
  const said = (/** @type {string} */ name) => LICENCES.find(([licence]) => licence.test(name))?.[1];
  return [closed.length ? notice("caution", MODEL.notCommercial, closed.join(", ")) : null, facts(pairs.map(([what, name]) => [what, said(name) ? `${name}: ${said(name)}` : name]))].filter((one) => one !== null);
}
