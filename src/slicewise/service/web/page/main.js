// The page: files go to the visit, one stack is shown at a time, and its answer stands beside it.

import { markShown, probabilities, profile, verdict } from "./answers/answer.js";
import * as api from "./api.js";
import { comparison } from "./answers/compare.js";
import { at, element, fill } from "./dom.js";
import { bindEvaluation } from "./panels/evaluation.js";
import { feedbackForm } from "./answers/feedback.js";
import { look } from "./format.js";
import { chosen, dropped } from "./scan/inputs.js";
import { bindModel, showModels } from "./panels/model.js";
import { layOut, saveAnswers, savePicture } from "./scan/report.js";
import { bindPanels, bindSettings, choose, requestOptions, settings } from "./panels/settings.js";
import { Viewer } from "./scan/viewer.js";
import { Visit, keySlice } from "./scan/visit.js";
import { WORDS } from "./words.js";

/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./scan/visit.js").Stack} Stack */

const HEALTH_MS = 15_000;

fill();
const viewer = new Viewer(at("canvas"), () => showSlice());
/** @type {import("./types.js").Info | null} */
let service = null;
/** @type {import("./types.js").Model[]} */
let models = [];
let reviews = false;
/** @type {Stack | null} */
let shown = null;
/** What stands beside the picture now; nothing of it is made anew while it stays. */
let standing = { study: "", answer: "" };
const visit = new Visit({
  show,
  shown: () => shown,
  most: () => service?.limits.max_upload_bytes ?? Infinity,
  options: () => requestOptions(models[0]?.negative_class !== null),
  troubled: (status) => {
    if (status === 0) showHealth();
    if (status === 401) greet().then(() => at("key").focus());
  },
});

/** @param {Stack | null} stack @param {boolean} other whether it shows other files than before */
function show(stack, other) {
  const source = shown?.slices[viewer.index]?.source;
  shown = stack;
  standing = { study: "", answer: "" };
  at("view").hidden = stack === null;
  if (!stack) {
    viewer.show([], [], 0, true);
    return;
  }
  const same = stack.slices.findIndex((one) => one.source === source);
  const maps = stack.slices.map((_, index) => stack.predictions[index]?.maps ?? null);
  viewer.show(stack.slices, maps, same >= 0 && (viewer.moved || !stack.study) ? same : keySlice(stack), other);
  if (other) for (const id of ["brightness", "contrast"]) at(id).value = "0";
  at("slider").max = String(stack.slices.length - 1);
  at("slider").hidden = stack.slices.length < 2;
  const answered = stack.predictions.find((one) => one);
  const classes = answered ? Object.keys(answered.probabilities) : [];
  at("target").replaceChildren(element("option", { value: "" }, WORDS.answered), ...classes.map((name) => element("option", { value: name }, look(name).title)));
  at("takeaway").hidden = !answered;
  at("notes").value = stack.job.notes;
  showSlice();
}

/** What belongs to the slice that is shown. */
function showSlice() {
  if (!shown) return;
  const prediction = shown.predictions[viewer.index] ?? null;
  const withheld = prediction?.decision === "reject";
  at("target").options[0].textContent = withheld ? WORDS.noClass : WORDS.answered;
  viewer.target = at("target").value || (withheld ? "" : prediction?.label) || "";
  viewer.draw();
  const where = WORDS.position(viewer.index + 1, shown.slices.length);
  at("slider").value = String(viewer.index);
  at("slider").setAttribute("aria-valuetext", where);
  at("where").textContent = prediction ? `${where}: ${prediction.headline}` : where;
  at("canvas").setAttribute("aria-label", `${shown.title}, ${at("where").textContent}`);
  const empty = prediction !== null && viewer.target && viewer.opacity > 0 && viewer.heat() === null;
  at("nomap").textContent = empty ? WORDS.noMap : "";
  showWords(shown, prediction, where);
}

/** The words beside it; what is there already stays, with what a reader typed or opened.
 * @param {Stack} stack @param {Prediction | null} prediction @param {string} where */
function showWords(stack, prediction, where) {
  const texts = service?.reasons ?? {};
  const looks = `${settings.chart} ${settings.palette} ${service !== null}`;
  const { study } = stack;
  if (standing.study !== looks) {
    standing.study = looks;
    at("study").replaceChildren(
      ...(study ? [element("h3", {}, WORDS.series(study.plane)), element("p", { class: "lead" }, stack.first || stack.title), verdict(study, texts), profile(study, stack.predictions, (index) => viewer.move(index))] : []),
    );
  }
  markShown(at("study"), viewer.index);
  const answer = `${looks} ${prediction?.id}`;
  if (standing.answer !== answer) {
    standing.answer = answer;
    at("answer").replaceChildren(
      ...(prediction ? [element("h3", {}, study ? where : stack.title), verdict(prediction, texts), probabilities(prediction), stack.options.tta ? element("p", { class: "lead" }, WORDS.wasTta) : "", feedbackForm(prediction)] : [element("p", { class: "lead" }, WORDS.noAnswer)]),
    );
  }
  const several = prediction !== null && reviews && models.length > 1;
  at("compared").replaceChildren(...(several ? comparison(stack, prediction, models, texts, () => stack === shown && showSlice()) : []));
}

/** Which settings differ from those of the model. */
function showOptions() {
  const { tta, threshold } = requestOptions(models[0]?.negative_class !== null);
  const said = [threshold ? WORDS.overrideThreshold(threshold) : "", tta ? WORDS.overrideTta : ""].filter((one) => one);
  at("overrides").textContent = said.length ? WORDS.overrides(said) : "";
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
    for (const id of ["stored", "evaluate"]) at(id).hidden = !(service.stored_samples && reviews);
    ({ models } = await api.models());
    showModels();
    showOptions();
    showSlice();
  } catch (error) {
    reviews = false;
    at("who").textContent = /** @type {Error} */ (error).message;
  }
}

async function showHealth() {
  const ready = await api.ready();
  const said = ready ? WORDS.alive : WORDS.busy;
  if (at("health").textContent !== said) at("health").textContent = said;
  at("health").className = ready ? "good" : "alert";
  if (ready && service === null) greet();
}

/** Files that are dropped, chosen, pasted, or drawn by the service. */
function bindInputs() {
  const zone = at("drop");
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => {
      if (!carriesFiles(/** @type {DragEvent} */ (event))) return;
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("over");
    visit.take(dropped(event.dataTransfer));
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
  at("opacity").addEventListener("input", () => {
    viewer.opacity = Number(at("opacity").value) / 100;
    viewer.draw();
  });
  at("opacity").addEventListener("change", () => choose("opacity", at("opacity").value));
  for (const id of ["brightness", "contrast"]) {
    at(id).addEventListener("input", () => viewer.tune(Number(at("brightness").value) / 100, Number(at("contrast").value) / 100));
  }
  at("target").addEventListener("change", showSlice);
  for (const [id, option] of [["beside", "beside"], ["modelview", "modelView"]]) {
    at(id).addEventListener("change", () => {
      /** @type {Record<string, any>} */ (/** @type {unknown} */ (viewer))[option] = at(id).checked;
      viewer.draw();
    });
  }
  at("reset").addEventListener("click", () => {
    for (const id of ["brightness", "contrast"]) at(id).value = "0";
    viewer.reset();
  });
}

function bindTakeAway() {
  const taken = (/** @type {(view: import("./scan/report.js").View) => void} */ use) => () => {
    if (shown) use({ stack: shown, index: viewer.index, target: viewer.target, limits: viewer.limits });
  };
  at("notes").addEventListener("input", () => shown && (shown.job.notes = at("notes").value));
  at("png").addEventListener("click", taken(savePicture));
  at("json").addEventListener("click", taken(({ stack }) => saveAnswers([stack], stack.title)));
  at("saveall").addEventListener("click", () => saveAnswers(visit.stacks(), WORDS.visitFile));
  window.addEventListener("beforeunload", (event) => visit.holds() && event.preventDefault());
  at("print").addEventListener("click", () => window.print());
  window.addEventListener("beforeprint", taken((view) => layOut(view, service?.reasons ?? {})));
  window.addEventListener("afterprint", () => at("report").replaceChildren());
}

/** Links within the page; below a path prefix the address of the page may be another. */
function bindLinks() {
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const place = at((link.getAttribute("href") ?? "").slice(1));
      place.scrollIntoView();
      place.focus();
    });
  }
}

function settingsChanged() {
  at("opacity").value = settings.opacity;
  viewer.opacity = Number(settings.opacity) / 100;
  showOptions();
  showSlice();
}

bindInputs();
bindViewer();
bindTakeAway();
bindLinks();
bindSettings(settingsChanged);
bindPanels(at("panels"));
bindModel();
bindEvaluation();
settingsChanged();
greet();
showHealth();
setInterval(showHealth, HEALTH_MS);
