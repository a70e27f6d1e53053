// The page: what was dropped becomes jobs, each is read and answered, and one is shown at a time.

import * as api from "./api.js";
import { bars, element, profile, verdict } from "./answer.js";
import { chosen, dropped, jobsOf } from "./inputs.js";
import { inOrder, unpack } from "./slices.js";
import { Viewer } from "./viewer.js";
import { WORDS, look } from "./words.js";

/** @typedef {import("./types.js").SlicePixels} SlicePixels */
/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./types.js").Study} Study */
/** @typedef {import("./inputs.js").Job} Job */
/** @typedef {{title: string, slices: SlicePixels[], predictions: (Prediction | null)[], study: Study | null}} Stack */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);
const viewer = new Viewer(at("canvas"), () => showAnswer());
/** @type {import("./types.js").Info | null} */
let service = null;
/** @type {Stack | null} */
let shown = null;
let running = Promise.resolve();

/** Queue what was dropped; one job is sent at a time. @param {import("./inputs.js").Found[]} found */
async function take(found) {
  const { jobs, skipped } = await jobsOf(found);
  at("hint").textContent = skipped ? WORDS.skipped(skipped) : jobs.length ? "" : WORDS.nothing;
  for (const job of jobs) {
    const entry = new Entry(job);
    running = running.then(() => entry.run());
  }
}

/** One job in the list of this visit: its state, its stacks, and a way to stop it. */
class Entry {
  /** @param {Job} job */
  constructor(job) {
    this.job = job;
    this.stop = new AbortController();
    this.state = element("span", { class: "state" }, WORDS.waiting);
    this.progress = /** @type {HTMLProgressElement} */ (element("progress", { max: job.chunks.length + 1, value: 0 }));
    this.cancel = element("button", { type: "button", class: "link", onclick: () => this.stop.abort() }, WORDS.cancel);
    this.stacks = element("ul", { class: "stacks" });
    this.errors = element("ul", { class: "errors", role: "alert" });
    this.item = element("li", {}, element("p", {}, element("b", {}, job.title), " ", this.state, " ", this.cancel), this.progress, this.stacks, this.errors);
    at("visit").prepend(this.item);
    at("empty").hidden = true;
    /** @type {Map<string, SlicePixels>} */
    this.slices = new Map();
  }

  async run() {
    try {
      this.stop.signal.throwIfAborted();
      const { size } = this.job;
      const most = service?.limits.max_upload_bytes ?? Infinity;
      if (size > most) throw new Error(WORDS.tooLarge(size, most));
      const [first, ...others] = this.job.chunks;
      this.state.textContent = WORDS.reading;
      await this.read([first]);
      const answers = this.job.whole().then((file) => api.predict([file], options(), this.stop.signal));
      answers.catch(() => {}); // told below, after reading
      await this.read(others);
      this.state.textContent = WORDS.answering;
      this.finish(await answers);
      this.state.textContent = WORDS.done;
    } catch (error) {
      const problem = /** @type {any} */ (error);
      const stopped = problem.name === "AbortError";
      this.stop.abort();
      this.state.textContent = stopped ? WORDS.cancelled : WORDS.failed;
      if (!stopped) this.tell(problem.errors?.length ? problem.errors : [{ source: "", error: problem.message }]);
      if (problem.status === 401) at("key").focus();
    }
    this.progress.remove();
    this.cancel.remove();
  }

  /** Read some slices, the middle ones first, and show them as they come. @param {import("./inputs.js").Made[]} chunks */
  async read(chunks) {
    for (const chunk of chunks) {
      try {
        for (const slice of unpack(await api.read([await chunk()], this.stop.signal)).slices) this.slices.set(slice.source, slice);
        this.list([{ title: this.job.title, slices: inOrder([...this.slices.values()]), predictions: [], study: null }]);
      } catch (error) {
        if (!(error instanceof api.Problem) || error.status !== 422) throw error; // of bad files the answers tell
      }
      this.progress.value += 1;
    }
  }

  /** @param {import("./types.js").Answers} answers */
  finish(answers) {
    const waiting = new Map(answers.predictions.map((one) => [one.source, one]));
    /** @param {string[]} sources @param {string} title @param {Study | null} study @returns {Stack} */
    const stack = (sources, title, study) => {
      const known = sources.filter((source) => this.slices.has(source));
      const predictions = known.map((source) => waiting.get(source) ?? null);
      for (const source of sources) waiting.delete(source);
      return { title, slices: known.map((source) => /** @type {SlicePixels} */ (this.slices.get(source))), predictions, study };
    };
    const stacks = answers.studies.map((study) => stack(study.slices, this.named(study.source), study));
    for (const source of [...waiting.keys()]) stacks.push(stack([source], this.named(source), null));
    this.list(stacks.filter((one) => one.slices.length));
    this.tell(answers.errors);
  }

  /** @param {string} source */
  named(source) {
    const [file, index] = source.split("#");
    const path = this.job.names.get(file) ?? source.replace("study.zip", this.job.title);
    return index && this.job.names.has(file) ? `${path}#${index}` : path;
  }

  /** @param {Stack[]} stacks */
  list(stacks) {
    const mine = shown === null || this.open?.includes(shown);
    this.open = stacks;
    this.stacks.replaceChildren(
      ...stacks.map((one) => {
        const answer = one.study ?? one.predictions[0];
        const words = answer ? answer.headline : "";
        return element("li", {}, element("button", { type: "button", class: "pick", onclick: () => show(one) }, `${one.title} (${one.slices.length}) `, element("b", {}, words)));
      }),
    );
    if (mine && stacks.length) show(stacks[0]);
  }

  /** @param {{source: string, error: string}[]} errors */
  tell(errors) {
    this.errors.replaceChildren(...errors.map((one) => element("li", {}, one.source ? `${this.named(one.source)}: ${one.error}` : one.error)));
  }
}

/** What the settings ask for, beside the files. @returns {Record<string, string>} */
function options() {
  /** @type {Record<string, string>} */
  const asked = {};
  if (at("tta").checked) asked.tta = "true";
  if (at("threshold").value) asked.threshold = at("threshold").value;
  return asked;
}

/** @param {Stack} stack */
function show(stack) {
  const source = shown?.slices[viewer.index]?.source;
  const same = stack.slices.findIndex((one) => one.source === source);
  const key = stack.study ? stack.predictions.findIndex((one) => one?.source === stack.study?.study.key_slices[0]) : 0;
  shown = stack;
  at("view").hidden = false;
  const maps = stack.slices.map((_, index) => stack.predictions[index]?.maps ?? null);
  viewer.show(stack.slices, maps, same >= 0 && !stack.study ? same : Math.max(0, key));
  at("slider").max = String(stack.slices.length - 1);
  at("slider").hidden = stack.slices.length < 2;
  const answered = stack.predictions.find((one) => one);
  const classes = answered ? Object.keys(answered.probabilities) : [];
  at("target").replaceChildren(element("option", { value: "" }, "answered class"), ...classes.map((name) => element("option", { value: name }, look(name).title)));
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
  at("canvas").setAttribute("aria-label", `${slice.source}, ${at("where").textContent}`);
  const empty = prediction !== null && viewer.opacity > 0 && viewer.heat() === null;
  at("nomap").textContent = empty ? WORDS.noMap : "";
  const texts = service?.reasons ?? {};
  const { study } = shown;
  at("study").replaceChildren(
    ...(study ? [element("h3", {}, `The series${study.plane ? ` (${study.plane})` : ""}`), verdict(study, texts), profile(study, /** @type {Prediction[]} */ (shown.predictions), viewer.index, (index) => viewer.move(index))] : []),
  );
  at("answer").replaceChildren(
    ...(prediction ? [element("h3", {}, study ? at("where").textContent : slice.source), verdict(prediction, texts), bars(prediction), judged(prediction)] : []),
  );
}

/** Agree or not, with the right class and a note. @param {Prediction} prediction */
function judged(prediction) {
  const label = element("select", { "aria-label": "right class" }, element("option", { value: "" }, "right class?"), ...Object.keys(prediction.probabilities).map((name) => element("option", { value: name }, look(name).title)));
  const note = element("input", { type: "text", maxlength: 1000, placeholder: "note (no names)", "aria-label": "note" });
  const said = element("span", { role: "status" });
  const send = async (/** @type {boolean} */ agree) => {
    const [chosen, text] = [/** @type {any} */ (label).value, /** @type {any} */ (note).value];
    try {
      await api.feedback(prediction.id, { agree, ...(chosen && { label: chosen }), ...(text && { note: text }) });
      said.textContent = WORDS.sent;
    } catch (error) {
      said.textContent = /** @type {Error} */ (error).message;
    }
  };
  return element(
    "p",
    { class: "feedback" },
    element("button", { type: "button", onclick: () => send(true) }, WORDS.agree),
    element("button", { type: "button", onclick: () => send(false) }, WORDS.disagree),
    label,
    note,
    said,
  );
}

/** Whose key it is, and whether the service is ready. */
async function greet() {
  try {
    service = await api.info();
    at("model").textContent = `${service.bundle.name} ${service.bundle.version}`;
    at("keyrow").hidden = !service.key_required;
    if (service.key_required && !api.key()) {
      at("who").textContent = WORDS.keyWanted;
      return;
    }
    const { name, role, requests_a_minute: rate } = await api.caller();
    const who = service.key_required ? WORDS.keyGood(name, role) : WORDS.keyOpen;
    at("who").textContent = `${who} ${WORDS.limits(service.limits.max_upload_bytes, rate)}`;
  } catch (error) {
    at("who").textContent = /** @type {Error} */ (error).message;
  }
}

async function pulse() {
  const ready = await api.ready();
  at("health").textContent = ready ? WORDS.alive : WORDS.busy;
  at("health").className = ready ? "good" : "alert";
}

function wire() {
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
    if (event.dataTransfer) await take(await dropped(event.dataTransfer));
  });
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (files?.length) take(chosen(files));
  });
  for (const id of ["files", "folder"]) {
    at(id).addEventListener("change", async () => {
      await take(chosen(at(id).files));
      at(id).value = "";
    });
  }
  at("sample").addEventListener("click", async () => {
    try {
      await take(chosen([await api.sample()]));
    } catch (error) {
      at("hint").textContent = /** @type {Error} */ (error).message;
    }
  });
  at("keyform").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    api.setKey(at("key").value.trim());
    at("key").value = "";
    greet();
  });
  at("slider").addEventListener("input", () => viewer.move(Number(at("slider").value)));
  at("opacity").addEventListener("input", () => {
    viewer.opacity = Number(at("opacity").value) / 100;
    viewer.draw();
  });
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

wire();
greet();
pulse();
setInterval(pulse, 15000);
