// The answers of this visit: what was dropped is read and answered, one after the other, and shown as a gallery.

import * as api from "./api.js";
import { at, button, element } from "./dom.js";
import { still } from "./draw.js";
import { isMetrics, open } from "./evaluation.js";
import { jobsOf } from "./inputs.js";
import { asked, settings } from "./settings.js";
import { inOrder, unpack, windowOf } from "./slices.js";
import { WORDS } from "./words.js";

/** @typedef {import("./types.js").SlicePixels} SlicePixels */
/** @typedef {import("./types.js").Prediction} Prediction */
/** @typedef {import("./types.js").Study} Study */
/** @typedef {import("./inputs.js").Job} Job */
/** What is looked at together: a series, or one slice. `others` are the answers of each loaded model.
 * @typedef {{title: string, job: Job, slices: SlicePixels[], predictions: (Prediction | null)[], study: Study | null,
 *   others: Map<string, Prediction>[]}} Stack */

const THUMBNAIL = 112;

/** Takes files; shows what becomes of them. */
export class Visit {
  /** @param {(stack: Stack) => void} show @param {() => Stack | null} shown
   * @param {() => number} most bytes in one request */
  constructor(show, shown, most) {
    this.show = show;
    this.shown = shown;
    this.most = most;
    this.running = Promise.resolve();
    /** @type {Entry | null} whose stacks are shown as they come */
    this.leading = null;
  }

  /** Queue what was dropped; one job is sent at a time. @param {import("./inputs.js").Found[]} found */
  async take(found) {
    if (found.length === 1 && isMetrics(found[0].file)) return open(found[0].file); // else it lies beside pictures
    const { jobs, skipped } = await jobsOf(found);
    at("hint").textContent = skipped ? WORDS.skipped(skipped) : jobs.length ? "" : WORDS.nothing;
    const entries = jobs.map((job) => new Entry(job, this));
    this.leading = entries[0] ?? this.leading;
    for (const entry of entries) this.queue(entry);
  }

  /** The reader's own choice: nothing that comes later takes its place. @param {Stack} stack */
  pick(stack) {
    this.leading = null;
    this.show(stack);
    at("view").scrollIntoView({ block: "nearest" });
  }

  /** @param {Entry} entry */
  queue(entry) {
    this.running = this.running.then(() => entry.run());
  }
}

/** One job in the list of this visit: its state, its stacks, and a way to stop it. */
class Entry {
  /** @param {Job} job @param {Visit} visit */
  constructor(job, visit) {
    this.job = job;
    this.visit = visit;
    this.stop = new AbortController();
    this.state = element("span", { class: "state" }, WORDS.waiting);
    this.progress = /** @type {HTMLProgressElement} */ (element("progress", { max: job.chunks.length + 1, value: 0, "aria-label": WORDS.reading }));
    this.tool = element("span");
    this.stacks = element("ul", { class: "stacks" });
    this.errors = element("ul", { class: "errors", role: "alert" });
    this.item = element("li", {}, element("p", {}, element("b", {}, job.title), " ", this.state, " ", this.tool), this.progress, this.stacks, this.errors);
    at("visit").prepend(this.item);
    at("empty").hidden = true;
    /** @type {Map<string, SlicePixels>} */
    this.slices = new Map();
    this.cancelable();
  }

  /** A way to stop while it waits or runs. */
  cancelable() {
    this.tool.replaceChildren(button(WORDS.cancel, () => this.stop.abort(), { class: "link", "aria-label": `${WORDS.cancel}: ${this.job.title}` }));
  }

  /** A way to ask again after what may pass: no key, a busy service, a cancelled job. */
  repeatable() {
    const again = () => {
      this.stop = new AbortController();
      this.errors.replaceChildren();
      this.progress.value = 0;
      this.progress.hidden = false;
      this.state.textContent = WORDS.waiting;
      this.cancelable();
      this.visit.queue(this);
    };
    this.tool.replaceChildren(button(WORDS.again, again, { class: "link", "aria-label": `${WORDS.again}: ${this.job.title}` }));
  }

  async run() {
    try {
      this.stop.signal.throwIfAborted();
      const { size } = this.job;
      if (size > this.visit.most()) throw new Error(WORDS.tooLarge(size, this.visit.most()));
      const [first, ...others] = this.job.chunks;
      this.state.textContent = WORDS.reading;
      await this.read([first]);
      const answers = this.job.whole().then((file) => api.predict([file], asked(), this.stop.signal));
      answers.catch(() => {}); // told below, after reading
      await this.read(others);
      this.state.textContent = WORDS.answering;
      this.finish(await answers);
      this.state.textContent = WORDS.done;
      this.tool.replaceChildren();
    } catch (error) {
      const problem = /** @type {any} */ (error);
      const stopped = problem.name === "AbortError";
      this.stop.abort();
      this.state.textContent = stopped ? WORDS.cancelled : WORDS.failed;
      if (!stopped) this.tell(problem.errors?.length ? problem.errors : [{ source: "", error: problem.message }]);
      if (stopped || [0, 401, 403, 429, 503].includes(problem.status)) this.repeatable();
      else this.tool.replaceChildren();
      if (problem.status === 401) at("key").focus();
    }
    this.progress.hidden = true;
  }

  /** Read some slices, the middle ones first, and show them as they come. @param {import("./inputs.js").Made[]} chunks */
  async read(chunks) {
    for (const chunk of chunks) {
      try {
        for (const slice of unpack(await api.read([await chunk()], this.stop.signal)).slices) this.slices.set(slice.source, slice);
        this.list([this.stack(this.job.title, inOrder([...this.slices.values()]), [], null)]);
      } catch (error) {
        if (!(error instanceof api.Problem) || error.status !== 422) throw error; // of bad files the answers tell
      }
      this.progress.value += 1;
    }
  }

  /** @param {import("./types.js").Answers} answers */
  finish(answers) {
    const waiting = new Map(answers.predictions.map((one) => [one.source, one]));
    /** @param {string[]} sources @param {string} title @param {Study | null} study */
    const found = (sources, title, study) => {
      const known = sources.filter((source) => this.slices.has(source));
      const predictions = known.map((source) => waiting.get(source) ?? null);
      for (const source of sources) waiting.delete(source);
      return this.stack(title, known.map((source) => /** @type {SlicePixels} */ (this.slices.get(source))), predictions, study);
    };
    const stacks = answers.studies.map((study) => found(study.slices, this.named(study.source), study));
    for (const source of [...waiting.keys()]) stacks.push(found([source], this.named(source), null));
    this.list(stacks.filter((one) => one.slices.length));
    this.tell(answers.errors);
  }

  /** @param {string} title @param {SlicePixels[]} slices @param {(Prediction | null)[]} predictions @param {Study | null} study @returns {Stack} */
  stack(title, slices, predictions, study) {
    return { title, job: this.job, slices, predictions, study, others: [] };
  }

  /** @param {string} source */
  named(source) {
    const [file, index] = source.split("#");
    const path = this.job.names.get(file) ?? source.replace("study.zip", this.job.title);
    return index && this.job.names.has(file) ? `${path}#${index}` : path;
  }

  /** @param {Stack[]} stacks */
  list(stacks) {
    const shown = this.visit.shown();
    const mine = this.visit.leading === this || shown === null || this.open?.includes(shown);
    this.open = stacks;
    this.stacks.replaceChildren(...stacks.map((one) => element("li", {}, this.card(one))));
    if (mine && stacks.length) this.visit.show(stacks[0]);
  }

  /** A stack in the gallery: its picture and what was answered. @param {Stack} stack */
  card(stack) {
    const answer = stack.study ?? stack.predictions[0];
    const pick = element("button", { type: "button", class: "pick", onclick: () => this.visit.pick(stack) });
    if (answer) pick.append(thumbnail(stack));
    pick.append(
      element(
        "span",
        {},
        element("span", { class: "title" }, stack.title === this.job.title ? "" : stack.title, " ", element("span", { class: "lead" }, WORDS.slices(stack.slices.length))),
        answer && element("b", {}, answer.headline),
        answer && element("span", { class: `badge ${SHADES[answer.decision]}` }, answer.decision),
      ),
    );
    return pick;
  }

  /** @param {{source: string, error: string}[]} errors */
  tell(errors) {
    this.errors.replaceChildren(...errors.map((one) => element("li", {}, one.source ? `${this.named(one.source)}: ${one.error}` : one.error)));
  }
}

const SHADES = /** @type {Record<string, string>} */ ({ accept: "good", review: "caution", reject: "alert" });

/** The key slice of a stack, small, with its heat map. @param {Stack} stack */
function thumbnail(stack) {
  const index = keySlice(stack);
  const [slice, prediction] = [stack.slices[index], stack.predictions[index]];
  const heat = prediction?.maps && prediction.decision !== "reject" ? { maps: prediction.maps, name: prediction.label, colours: settings.colours, opacity: 0.6 } : null;
  const picture = still(slice, windowOf(slice), heat);
  const scale = THUMBNAIL / Math.max(picture.width, picture.height);
  const small = /** @type {HTMLCanvasElement} */ (element("canvas", { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale), "aria-hidden": "true" }));
  small.getContext("2d")?.drawImage(picture, 0, 0, small.width, small.height);
  return small;
}

/** Where to look first in a stack. @param {Stack} stack */
export function keySlice(stack) {
  const key = stack.study?.study.key_slices[0];
  return Math.max(0, stack.predictions.findIndex((one) => one !== null && one.source === key));
}
