// What a reader thinks of an answer, for the audit log.

import * as api from "../api.js";
import { button, element } from "../dom.js";
import { look } from "../format.js";
import { WORDS } from "../words.js";

/** @typedef {import("../types.js").Prediction} Prediction */

/** @type {WeakMap<Prediction, HTMLElement>} */
const FORMS = new WeakMap();

/** The form of an answer; what was typed into it stays. @param {Prediction} prediction */
export function feedbackForm(prediction) {
  const form = FORMS.get(prediction) ?? made(prediction);
  FORMS.set(prediction, form);
  return form;
}

/** Agree or not, with the right class and a note; with a withheld answer nobody can agree.
 * @param {Prediction} prediction */
function made(prediction) {
  const classes = Object.keys(prediction.probabilities).map((name) => element("option", { value: name }, look(name).title));
  const label = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": WORDS.rightClass }, element("option", { value: "" }, WORDS.rightClass), ...classes));
  const note = /** @type {HTMLInputElement} */ (element("input", { type: "text", maxlength: 1000, placeholder: WORDS.note, "aria-label": WORDS.note }));
  const said = element("span", { role: "status" });
  const agree = button(WORDS.agree, () => send(true));
  const disagree = button(prediction.decision === "reject" ? WORDS.send : WORDS.disagree, () => send(false));
  const able = (/** @type {boolean} */ sent) => {
    agree.toggleAttribute("disabled", sent || !["", prediction.label].includes(label.value));
    disagree.toggleAttribute("disabled", sent);
  };
  const send = async (/** @type {boolean} */ agrees) => {
    able(true);
    try {
      await api.feedback(prediction.id, { agree: agrees, ...(label.value && { label: label.value }), ...(note.value && { note: note.value }) });
      said.textContent = WORDS.sent;
    } catch (error) {
      said.textContent = /** @type {Error} */ (error).message;
      able(false);
    }
  };
  label.addEventListener("change", () => able(false));
  note.addEventListener("input", () => able(false));
  return element("p", { class: "feedback" }, prediction.decision === "reject" ? null : agree, disagree, label, note, said);
}
