// What a reader takes away: the printed report, a picture, the answers as a file.

import { probabilities, profile, verdict } from "../answers/answer.js";
import { at, element, save } from "../dom.js";
import { still } from "./draw.js";
import { look, percent } from "../format.js";
import { named } from "./inputs.js";
import { settings } from "../panels/settings.js";
import { windowOf } from "./slices.js";
import { WORDS } from "../words.js";

/** @typedef {import("./visit.js").Stack} Stack */
/** @typedef {import("../types.js").Bundle} Bundle */
/** @typedef {{stack: Stack, index: number, target: string, limits: [number, number] | null}} View */

const PANEL = 512; // pixels of a side of a saved picture
const MOST_KEY_SLICES = 6; // on paper

/** The slice without, and with the heat map of a class; that alone where no class is wanted.
 * @param {View} view @param {number} index @param {string} name */
function pictures({ stack, limits }, index, name) {
  const slice = stack.slices[index];
  const maps = stack.predictions[index]?.maps;
  const window = limits ?? windowOf(slice);
  const plain = still(slice, window, null);
  if (!maps || !name) return [plain];
  return [plain, still(slice, window, { maps, name, colours: settings.colours, opacity: Math.max(0.3, Number(settings.opacity) / 100) })];
}

/** @param {Bundle} bundle */
const model = (bundle) => `${bundle.name} ${bundle.version} (${bundle.sha256.slice(0, 12)})`;

/** @param {Stack} stack @param {number} index */
const caption = (stack, index) => (stack.slices.length > 1 ? WORDS.reportFile(WORDS.position(index + 1, stack.slices.length), named(stack.job, stack.slices[index].source)) : stack.title);

/** Lay out the report that a printer, or a PDF, gets. @param {View} view @param {Record<string, string>} texts */
export function layOut(view, texts) {
  const { stack, index } = view;
  const { study, predictions } = stack;
  const keys = study?.study.key_slices.slice(0, MOST_KEY_SLICES) ?? [];
  const indices = study ? predictions.flatMap((answer, which) => (answer && keys.includes(answer.source) ? [which] : [])) : [index];
  const bundle = predictions.find((answer) => answer)?.bundle;
  const notes = stack.job.notes.trim();
  at("report").replaceChildren(
    element("h1", {}, `${WORDS.reportTitle} ${stack.title}`),
    element("p", { class: "notice disclaimer" }, element("strong", {}, WORDS.research)),
    ...(notes ? [element("h2", {}, WORDS.reportNotes), element("p", { class: "said" }, notes)] : []),
    ...(study ? [element("h2", {}, WORDS.series(study.plane)), element("p", { class: "lead" }, stack.first), verdict(study, texts), profile(study, predictions, () => {})] : []),
    ...indices.map((which) => printed(view, which, texts)),
    ...(stack.options.tta ? [element("p", { class: "lead" }, WORDS.wasTta)] : []),
    element("p", { class: "lead" }, WORDS.mapMeans),
    element("p", { class: "lead" }, `${bundle ? `${WORDS.reportModel}: ${model(bundle)}. ` : ""}${WORDS.reportTime}: ${new Date().toLocaleString()}.`),
  );
}

/** A slice of the report: its pictures and its answer. @param {View} view @param {number} index @param {Record<string, string>} texts */
function printed(view, index, texts) {
  const { stack } = view;
  const prediction = stack.predictions[index];
  const label = prediction && prediction.decision !== "reject" ? prediction.label : "";
  const name = index === view.index ? view.target : label;
  const words = [caption(stack, index), `${WORDS.reportMap} ${look(name).title}`];
  const figures = pictures(view, index, name).map((picture, which) =>
    element("figure", {}, element("img", { src: picture.toDataURL("image/png"), alt: words[which] }), element("figcaption", {}, words[which])),
  );
  return element(
    "section",
    {},
    element("div", { class: "pair" }, ...figures),
    element("div", {}, ...(prediction ? [verdict(prediction, texts), probabilities(prediction)] : [])),
  );
}

/** Save the slice that is shown, and beside it its heat map, over what was answered. @param {View} view */
export function savePicture(view) {
  const { stack, index, target } = view;
  const prediction = stack.predictions[index];
  const found = pictures(view, index, target);
  const lines = stack.slices.length > 1 ? [stack.title, caption(stack, index)] : [stack.title];
  if (prediction) {
    const share = prediction.decision === "reject" ? "" : ` ${percent(prediction.confidence)}`;
    lines.push(`${prediction.headline}${share} (${prediction.decision})`, prediction.summary);
    if (found.length > 1) lines.push(`${WORDS.right}: ${WORDS.reportMap} ${look(target).title}`);
    lines.push(`${WORDS.reportModel}: ${model(prediction.bundle)}`);
  }
  const canvas = document.createElement("canvas");
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const font = "15px system-ui, sans-serif";
  pen.font = font;
  const wrapped = [...lines, WORDS.research].flatMap((line) => folded(pen, line, found.length * PANEL - 16));
  canvas.width = found.length * PANEL;
  canvas.height = PANEL + 16 + 21 * wrapped.length;
  pen.fillStyle = "#111827";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  found.forEach((picture, which) => {
    const scale = Math.min(PANEL / picture.width, PANEL / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    pen.drawImage(picture, which * PANEL + (PANEL - width) / 2, (PANEL - height) / 2, width, height);
  });
  pen.font = font;
  pen.fillStyle = "#f3f4f6";
  wrapped.forEach((line, which) => pen.fillText(line, 8, PANEL + 22 + 21 * which));
  canvas.toBlob((content) => content && save(content, `${plain(stack.title)}-${index + 1}.png`));
}

/** @param {CanvasRenderingContext2D} pen @param {string} text @param {number} width */
function folded(pen, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (pen.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Save the answers of stacks under the reader's own file names, without the maps.
 * @param {Stack[]} stacks @param {string} title */
export function saveAnswers(stacks, title) {
  const parts = stacks.map(({ job, title, predictions, study, options }) => {
    const own = (/** @type {string} */ source) => named(job, source);
    return {
      predictions: predictions.flatMap((one) => (one ? [{ ...one, source: own(one.source), maps: undefined, options }] : [])),
      studies: study ? [{ ...study, source: title, slices: study.slices.map(own), study: { ...study.study, key_slices: study.study.key_slices.map(own) } }] : [],
    };
  });
  const jobs = [...new Set(stacks.map((one) => one.job))];
  const content = {
    predictions: parts.flatMap((one) => one.predictions),
    studies: parts.flatMap((one) => one.studies),
    errors: jobs.flatMap((job) => job.errors.map((one) => ({ ...one, source: named(job, one.source) }))),
    disclaimer: WORDS.research,
  };
  save(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }), `${plain(title)}.json`);
}

/** A name for a file. @param {string} title */
function plain(title) {
  return title.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) || "answer";
}
