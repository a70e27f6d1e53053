// The answers of this visit: what was dropped is read and answered, one after the other, and shown as a gallery.

import * as api from "../api.js";
import { at, badge, button, element } from "../dom.js";
import { still } from "./draw.js";
import { isMetrics, open } from "../panels/evaluation.js";
import { folderOf, jobsOf, named } from "./inputs.js";
import { settings } from "../panels/settings.js";
import { inOrder, unpack, windowOf } from "./slices.js";
import { WORDS } from "../words.js";

/** @typedef {import("../types.js").SlicePixels} SlicePixels */
/** @typedef {import("../types.js").Prediction} Prediction */
/** @typedef {import("../types.js").Study} Study */
/** @typedef {import("./inputs.js").Job} Job */
/** What is looked at together: a series, or one slice, with the options that it was answered under.
 * @typedef {{title: string, first: string, job: Job, slices: SlicePixels[], predictions: (Prediction | null)[], study: Study | null,
 *   options: Record<string, string>,
 *   compared: {state: "idle" | "running" | "done", answers: Map<string, Prediction>[], problem: string}}} Stack */
/** @typedef {{show: (stack: Stack | null, fresh: boolean) => void, shown: () => Stack | null, most: () => number,
 *   options: () => Record<string, string>, troubled: (status: number) => void}} Host */

const THUMBNAIL = 112;
const PASSING = [0, 401, 403, 408, 429, 503]; // what may go well another time

/** Takes files; shows what becomes of them. */
export class Visit {
  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    this.running = Promise.resolve();
    /** @type {Set<Entry>} */
    this.entries = new Set();
    /** @type {Entry | null} whose stacks are shown as they come */
    this.leading = null;
  }

  /** Queue what was dropped; one job is sent at a time. A JSON alone may be a metrics.json.
   * @param {import("./inputs.js").Found[] | Promise<import("./inputs.js").Found[]>} dropped */
  async take(dropped) {
    try {
      const found = await dropped;
      if (found.length === 1 && isMetrics(found[0].file)) {
        await open(found[0].file);
        return;
      }
      const { jobs, skipped, empty } = await jobsOf(found);
      const said = [empty.length ? WORDS.empty(empty) : "", skipped ? WORDS.skipped(skipped) : ""].filter((one) => one);
      at("hint").textContent = said.join(" ") || (jobs.length ? "" : WORDS.nothing);
      const entries = jobs.map((job) => new Entry(job, this));
      entries.forEach((entry, index) => (entry.next = entries[index + 1] ?? null));
      this.leading = entries[0] ?? this.leading;
      for (const entry of entries) this.queue(entry);
    } catch (error) {
      at("hint").textContent = WORDS.unreadable(/** @type {Error} */ (error).message);
    }
  }

  /** All that was answered, the oldest first. */
  stacks() {
    return [...this.entries].flatMap((entry) => entry.open).filter((one) => one.predictions.length);
  }

  /** Whether something would be lost: work that is under way, or notes. */
  holds() {
    return [...this.entries].some((entry) => !entry.ended || entry.job.notes);
  }

  /** The reader's own choice: nothing that comes later takes its place. @param {Stack} stack */
  pick(stack) {
    this.leading = null;
    this.host.show(stack, stack !== this.host.shown());
    at("view").scrollIntoView({ block: "nearest" });
  }

  /** @param {Entry} entry */
  queue(entry) {
    const run = () => entry.run();
    this.running = this.running.then(run, run);
  }
}

/** One job in the list of this visit: its state, its stacks, and ways to stop, repeat and remove it. */
class Entry {
  /** @param {Job} job @param {Visit} visit */
  constructor(job, visit) {
    this.job = job;
    this.visit = visit;
    this.stop = new AbortController();
    /** @type {Entry | null} what came after it in the same drop */
    this.next = null;
    /** @type {Stack[]} */
    this.open = [];
    this.ended = false;
    visit.entries.add(this);
    this.state = element("span", { class: "state", role: "status" }, WORDS.waiting);
    this.progress = /** @type {HTMLProgressElement} */ (element("progress", { max: job.chunks.length + 1, value: 0, "aria-label": WORDS.reading }));
    this.tools = element("span");
    this.stacks = element("ul", { class: "stacks" });
    this.errors = element("ul", { class: "errors", role: "alert" });
    this.item = element("li", {}, element("p", {}, element("b", {}, job.title), " ", this.state, " ", this.tools), this.progress, this.stacks, this.errors);
    at("visit").prepend(this.item);
    at("empty").hidden = true;
    /** @type {Map<string, SlicePixels>} */
    this.slices = new Map();
    this.offer([WORDS.cancel, () => this.cancel()]);
  }

  /** What can be done with it now. @param {...[string, () => void]} ways */
  offer(...ways) {
    const buttons = ways.map(([words, act]) => button(words, act, { class: "link", "aria-label": `${words}: ${this.job.title}` }));
    this.tools.replaceChildren(...buttons);
  }

  cancel() {
    this.stop.abort();
    this.ended = true;
    this.state.textContent = WORDS.cancelled;
    this.offer();
  }

  repeat() {
    this.stop = new AbortController();
    this.ended = false;
    this.errors.replaceChildren();
    this.progress.value = 0;
    this.progress.hidden = false;
    this.state.textContent = WORDS.waiting;
    this.offer([WORDS.cancel, () => this.cancel()]);
    this.visit.queue(this);
  }

  /** Forget its pixels and answers. */
  remove() {
    this.slices.clear();
    this.visit.entries.delete(this);
    this.item.remove();
    at("empty").hidden = at("visit").childElementCount > 0;
    const shown = this.visit.host.shown();
    if (shown && this.open.includes(shown)) this.visit.host.show(null, true);
    this.open = [];
    at("saveall").hidden = this.visit.stacks().length === 0;
  }

  async run() {
    const repeat = /** @type {[string, () => void]} */ ([WORDS.again, () => this.repeat()]);
    const remove = /** @type {[string, () => void]} */ ([WORDS.remove, () => this.remove()]);
    try {
      this.stop.signal.throwIfAborted();
      const options = this.visit.host.options();
      const [first, ...others] = this.job.chunks;
      this.state.textContent = WORDS.reading;
      if (!others.length) this.checked(await this.job.whole());
      await this.read([first]);
      const answers = this.job.whole().then((file) => api.predict([this.checked(file)], options, this.stop.signal));
      answers.catch(() => {}); // told below, after reading
      await this.read(others);
      this.state.textContent = WORDS.answering;
      this.finish(await answers, options);
      this.state.textContent = WORDS.done;
      this.offer(remove);
    } catch (error) {
      const problem = /** @type {any} */ (error);
      const stopped = problem.name === "AbortError";
      this.stop.abort();
      this.state.textContent = stopped ? WORDS.cancelled : WORDS.failed;
      if (!stopped) this.tell(problem.errors?.length ? problem.errors : [{ source: "", error: problem.message }]);
      if (stopped || PASSING.includes(problem.status)) this.offer(repeat, remove);
      else this.offer(remove);
      this.visit.host.troubled(problem.status);
      if (this.visit.leading === this) this.visit.leading = this.next;
    }
    this.progress.hidden = true;
    this.ended = true;
    at("saveall").hidden = this.visit.stacks().length === 0;
  }

  /** @param {File} file */
  checked(file) {
    const most = this.visit.host.most();
    if (file.size > most) throw new Error(WORDS.tooLarge(file.size, most));
    return file;
  }

  /** Read some files, the middle ones first, and show their slices as they come. @param {import("./inputs.js").Made[]} chunks */
  async read(chunks) {
    for (const chunk of chunks) {
      try {
        const file = await chunk();
        for (let first = /** @type {number | null} */ (0); first !== null; ) {
          const { slices, next } = unpack(await api.read(file, first, this.stop.signal));
          for (const slice of slices) this.slices.set(slice.source, slice);
          this.list([this.stack(this.job.title, inOrder([...this.slices.values()]), [], null, {})]);
          first = next;
        }
      } catch (error) {
        if (!(error instanceof api.Problem) || ![413, 422].includes(error.status)) throw error; // of bad files the answers tell
      }
      this.progress.value += 1;
    }
  }

  /** @param {import("../types.js").Answers} answers @param {Record<string, string>} options */
  finish(answers, options) {
    const waiting = new Map(answers.predictions.map((one) => [one.source, one]));
    /** @param {string[]} sources @param {string} title @param {Study | null} study */
    const found = (sources, title, study) => {
      const known = sources.filter((source) => this.slices.has(source));
      const predictions = known.map((source) => waiting.get(source) ?? null);
      for (const source of sources) waiting.delete(source);
      const slices = known.map((source) => /** @type {SlicePixels} */ (this.slices.get(source)));
      return this.stack(title, slices, predictions, study, options);
    };
    const stacks = answers.studies.map((study) => found(study.slices, this.titled(study), study));
    for (const source of [...waiting.keys()]) stacks.push(found([source], named(this.job, source), null));
    this.job.errors = answers.errors;
    this.list(stacks.filter((one) => one.slices.length));
    this.tell(answers.errors);
  }

  /** A series by the folder of its own files: what was dropped may be several patients. @param {Study} study */
  titled(study) {
    const title = named(this.job, study.source);
    const folder = folderOf(study.slices.map((source) => named(this.job, source)));
    return folder && title.startsWith(this.job.title) ? folder + title.slice(this.job.title.length) : title;
  }

  /** @param {string} title @param {SlicePixels[]} slices @param {(Prediction | null)[]} predictions
   * @param {Study | null} study @param {Record<string, string>} options @returns {Stack} */
  stack(title, slices, predictions, study, options) {
    const first = study && study.slices[0].includes("!") ? WORDS.firstOf(named(this.job, study.slices[0]), slices.length) : "";
    return { title, first, job: this.job, slices, predictions, study, options, compared: { state: "idle", answers: [], problem: "" } };
  }

  /** @param {Stack[]} stacks */
  list(stacks) {
    const shown = this.visit.host.shown();
    const own = shown !== null && this.open.includes(shown);
    const mine = this.visit.leading === this || shown === null || own;
    this.open = stacks;
    this.item.classList.toggle("wide", stacks.length > 1);
    this.stacks.replaceChildren(...stacks.map((one) => element("li", {}, this.card(one))));
    if (mine && stacks.length) this.visit.host.show(stacks[0], !own);
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
        stack.title === this.job.title ? null : element("span", {}, stack.title),
        stack.first ? element("span", { class: "lead" }, stack.first) : null,
        element("span", { class: "lead" }, WORDS.slices(stack.slices.length)),
        answer && element("b", {}, answer.headline),
        answer && badge(answer.decision),
      ),
    );
    return pick;
  }

  /** @param {{source: string, error: string}[]} errors */
  tell(errors) {
    this.errors.replaceChildren(...errors.map((one) => element("li", {}, one.source ? `${named(this.job, one.source)}: ${one.error}` : one.error)));
  }
}

/** The key slice of a stack, small, with its heat map. @param {Stack} stack */
function thumbnail(stack) {
  const index = keySlice(stack);
  const [slice, prediction] = [stack.slices[index], stack.predictions[index]];
  const heat = prediction?.maps && prediction.decision !== "reject" ? { maps: prediction.maps, name: prediction.label, colours: settings.colours, opacity: 0.6 } : null;
  const picture = still(slice, windowOf(slice), heat);
  const scale = THUMBNAIL / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const small = /** @type {HTMLCanvasElement} */ (element("canvas", { width, height, "aria-hidden": "true" }));
  small.getContext("2d")?.drawImage(picture, 0, 0, width, height);
  return small;
}

/** Where to look first in a stack. @param {Stack} stack */
export function keySlice(stack) {
  const key = stack.study?.study.key_slices[0];
  return Math.max(0, stack.predictions.findIndex((one) => one !== null && one.source === key));
}
