// The page: files go to the visit, one stack is shown at a time, and its answer stands beside it.

import { probabilities, profile, verdict } from "./answer.js";
import * as api from "./api.js";
import { at, button, element, fill } from "./dom.js";
import { bindEvaluation } from "./evaluation.js";
import { chosen, dropped } from "./inputs.js";
import { bindModel, showModels } from "./model.js";
import { layOut, saveAnswers, savePicture } from "./report.js";
import { asked, bindPanels, bindSettings, choose, settings } from "./settings.js";
import { Viewer } from "./viewer.js";
import { Visit, keySlice } from "./visit.js";
import { WORDS, look } from "./words.js";

/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./visit.js").Stack} Stack */

const PULSE_MS = 15_000;

fill();
const viewer = new Viewer(at("canvas"), () => showAnswer());
/** @type {import("./types.js").Info | null} */
let service = null;
/** @type {import("./types.js").Model[]} */
let models = [];
let reviews = false;
/** @type {Stack | null} */
let shown = null;
const visit = new Visit(show, () => shown, () => service?.limits.max_upload_bytes ?? Infinity);

/** @param {Stack} stack */
function show(stack) {
  const source = shown?.slices[viewer.index]?.source;
  const same = stack.slices.findIndex((one) => one.source === source);
  shown = stack;
  at("view").hidden = false;
  const maps = stack.slices.map((_, index) => stack.predictions[index]?.maps ?? null);
  viewer.show(stack.slices, maps, same >= 0 && !stack.study ? same : keySlice(stack));
  at("slider").max = String(stack.slices.length - 1);
  at("slider").hidden = stack.slices.length < 2;
  const answered = stack.predictions.find((one) => one);
  const classes = answered ? Object.keys(answered.probabilities) : [];
  at("target").replaceChildren(element("option", { value: "" }, WORDS.answered), ...classes.map((name) => element("option", { value: name }, look(name).title)));
  at("takeaway").hidden = !answered;
  showAnswer();
}

/** The words beside the slice that is shown. */
function showAnswer() {
  if (!shown) return;
  const prediction = shown.predictions[viewer.index] ?? null;
  const slice = shown.slices[viewer.index];
  viewer.target = at("target").value || prediction?.label || "";
  viewer.draw();
  at("slider").value = String(viewer.index);
  at("where").textContent = `${WORDS.slice} ${viewer.index + 1} ${WORDS.of} ${shown.slices.length}`;
  at("slider").setAttribute("aria-valuetext", at("where").textContent);
  at("canvas").setAttribute("aria-label", `${shown.title}, ${at("where").textContent}${prediction ? `: ${prediction.headline}` : ""}`);
  const empty = prediction !== null && viewer.opacity > 0 && viewer.heat() === null;
  at("nomap").textContent = empty ? WORDS.noMap : "";
  const texts = service?.reasons ?? {};
  const { study } = shown;
  at("study").replaceChildren(
    ...(study ? [element("h3", {}, WORDS.series(study.plane)), verdict(study, texts), profile(study, /** @type {Prediction[]} */ (shown.predictions), viewer.index, (index) => viewer.move(index))] : []),
  );
  at("answer").replaceChildren(
    ...(prediction ? [element("h3", {}, study ? at("where").textContent : shown.title), verdict(prediction, texts), probabilities(prediction), judged(prediction)] : []),
  );
  const others = shown.others.flatMap((answers) => answers.get(slice.source) ?? []);
  at("compared").replaceChildren(
    ...(others.length ? [element("h3", {}, WORDS.compared), element("div", { class: "arms" }, ...others.map((one) => arm(one, texts)))] : []),
    ...(prediction && reviews && models.length > 1 && !others.length ? [button(WORDS.compare, compare)] : []),
  );
}

/** What one of several models answers. @param {Prediction} one @param {Record<string, string>} texts */
function arm(one, texts) {
  return element("section", {}, element("h4", {}, `${one.bundle.name} ${one.bundle.version}`), verdict(one, texts), probabilities(one));
}

/** Ask every loaded model for the stack that is shown. */
async function compare() {
  const stack = shown;
  if (!stack) return;
  at("compared").replaceChildren(element("p", { role: "status" }, WORDS.comparing));
  try {
    const file = await stack.job.whole();
    for (const { arm } of models) {
      const answers = await api.predict([file], { ...asked(), arm });
      stack.others.push(new Map(answers.predictions.map((one) => [one.source, one])));
    }
    if (stack === shown) showAnswer();
  } catch (error) {
    at("compared").replaceChildren(element("p", { class: "errors", role: "alert" }, /** @type {Error} */ (error).message));
  }
}

/** Agree or not, with the right class and a note. @param {Prediction} prediction */
function judged(prediction) {
  const label = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": WORDS.rightClass }, element("option", { value: "" }, WORDS.rightClass), ...Object.keys(prediction.probabilities).map((name) => element("option", { value: name }, look(name).title))));
  const note = /** @type {HTMLInputElement} */ (element("input", { type: "text", maxlength: 1000, placeholder: WORDS.note, "aria-label": WORDS.note }));
  const said = element("span", { role: "status" });
  const send = async (/** @type {boolean} */ agree) => {
    try {
      await api.feedback(prediction.id, { agree, ...(label.value && { label: label.value }), ...(note.value && { note: note.value }) });
      said.textContent = WORDS.sent;
    } catch (error) {
      said.textContent = /** @type {Error} */ (error).message;
    }
  };
  return element("p", { class: "feedback" }, button(WORDS.agree, () => send(true)), button(WORDS.disagree, () => send(false)), label, note, said);
}

/** Who is calling, what answers, and what is allowed. */
async function greet() {
  try {
    service = await api.info();
    at("name").textContent = `${service.bundle.name} ${service.bundle.version}`;
    at("keyrow").hidden = !service.key_required;
    if (service.key_required && !api.key()) {
      at("who").textContent = WORDS.keyWanted;
      return;
    }
    const { name, role, requests_a_minute: rate } = await api.caller();
    const who = service.key_required ? WORDS.keyGood(name, role) : WORDS.keyOpen;
    at("who").textContent = `${who} ${WORDS.limits(service.limits.max_upload_bytes, rate)}`;
    reviews = role !== "predict";
    at("evaluate").hidden = !reviews;
    showModels();
    at("stored").hidden = !(service.stored_samples && reviews);
    ({ models } = await api.models());
    showAnswer();
  } catch (error) {
    at("who").textContent = /** @type {Error} */ (error).message;
  }
}

async function pulse() {
  const ready = await api.ready();
  at("health").textContent = ready ? WORDS.alive : WORDS.busy;
  at("health").className = ready ? "good" : "alert";
}

/** Files that are dropped, chosen, pasted, or drawn by the service. */
function bindInputs() {
  const zone = at("drop");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && zone.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer) await visit.take(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (files?.length) visit.take(chosen(files));
  });
  for (const id of ["files", "folder"]) {
    at(id).addEventListener("change", async () => {
      await visit.take(chosen(at(id).files));
      at(id).value = "";
    });
  }
  for (const [id, kind] of [["sample", "synthetic"], ["stored", "stored"]]) {
    at(id).addEventListener("click", async () => {
      try {
        await visit.take(chosen([await api.sample(kind)]));
      } catch (error) {
        at("hint").textContent = /** @type {Error} */ (error).message;
      }
    });
  }
  at("keyrow").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    api.setKey(at("key").value.trim());
    at("key").value = "";
    greet();
  });
}

function bindViewer() {
  at("slider").addEventListener("input", () => viewer.move(Number(at("slider").value)));
  at("opacity").value = settings.opacity;
  viewer.opacity = Number(settings.opacity) / 100;
  at("opacity").addEventListener("input", () => {
    viewer.opacity = Number(at("opacity").value) / 100;
    viewer.draw();
  });
  at("opacity").addEventListener("change", () => choose("opacity", at("opacity").value));
  at("target").addEventListener("change", showAnswer);
  at("beside").addEventListener("change", () => {
    viewer.beside = at("beside").checked;
    viewer.draw();
  });
  at("modelview").addEventListener("change", () => {
    viewer.modelView = at("modelview").checked;
    viewer.draw();
  });
  at("reset").addEventListener("click", () => viewer.reset());
}

function bindTakeAway() {
  const view = () => shown && { stack: shown, index: viewer.index, target: viewer.target, limits: viewer.limits };
  const with_ = (/** @type {(view: import("./report.js").View) => void} */ use) => () => {
    const found = view();
    if (found) use(found);
  };
  at("png").addEventListener("click", with_(savePicture));
  at("json").addEventListener("click", with_(saveAnswers));
  at("print").addEventListener("click", () => window.print());
  window.addEventListener("beforeprint", with_((found) => layOut(found, service?.reasons ?? {})));
  window.addEventListener("afterprint", () => at("report").replaceChildren());
}

bindInputs();
bindViewer();
bindTakeAway();
bindSettings(showAnswer);
bindPanels(at("panels"));
bindModel();
bindEvaluation();
greet();
pulse();
setInterval(pulse, PULSE_MS);
