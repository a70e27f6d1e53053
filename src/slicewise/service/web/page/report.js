// What a reader takes away: the printed report, a picture, the answers as a file.

import { probabilities, profile, verdict } from "./answer.js";
import { at, element, save } from "./dom.js";
import { still } from "./draw.js";
import { settings } from "./settings.js";
import { windowOf } from "./slices.js";
import { WORDS, look } from "./words.js";

/** @typedef {import("./visit.js").Stack} Stack */
/** @typedef {{stack: Stack, index: number, target: string, limits: [number, number] | null}} View */

const PANEL = 512; // pixels of a side of a saved picture
const MOST_KEY_SLICES = 6; // on paper

/** The slice without and with the heat map of a class.
 * @param {View} view @param {number} index @param {string} name */
function pair({ stack, limits }, index, name) {
  const slice = stack.slices[index];
  const maps = stack.predictions[index]?.maps;
  const window = limits ?? windowOf(slice);
  const heat = maps ? { maps, name, colours: settings.colours, opacity: Math.max(0.3, Number(settings.opacity) / 100) } : null;
  return [still(slice, window, null), still(slice, window, heat)];
}

/** Lay out the report that a printer, or a PDF, gets. @param {View} view @param {Record<string, string>} texts */
export function layOut(view, texts) {
  const { stack, index } = view;
  const one = stack.predictions[index];
  const keys = stack.study?.study.key_slices.slice(0, MOST_KEY_SLICES) ?? [];
  const indices = stack.study ? stack.predictions.flatMap((answer, at) => (answer && keys.includes(answer.source) ? [at] : [])) : [index];
  const bundle = (one ?? stack.predictions.find((answer) => answer))?.bundle;
  const notes = at("notes").value.trim();
  const answers = stack.predictions.filter((answer) => answer !== null);
  at("report").replaceChildren(
    element("h1", {}, `${WORDS.reportTitle} ${stack.title}`),
    element("p", { class: "notice disclaimer" }, element("strong", {}, WORDS.research)),
    ...(notes ? [element("h2", {}, WORDS.reportNotes), element("p", { class: "said" }, notes)] : []),
    ...(stack.study ? [element("h2", {}, WORDS.series(stack.study.plane)), verdict(stack.study, texts), profile(stack.study, answers, -1, () => {})] : []),
    ...indices.map((which) => printed(view, which, texts)),
    element("p", { class: "lead" }, WORDS.mapMeans),
    element("p", { class: "lead" }, `${bundle ? `${WORDS.reportModel}: ${bundle.name} ${bundle.version} (${bundle.sha256.slice(0, 12)}). ` : ""}${WORDS.reportTime}: ${new Date().toLocaleString()}.`),
  );
}

/** A slice of the report: both pictures and its answer. @param {View} view @param {number} index @param {Record<string, string>} texts */
function printed(view, index, texts) {
  const { stack } = view;
  const prediction = stack.predictions[index];
  const shown = !prediction || prediction.decision === "reject" ? "" : index === view.index && view.target ? view.target : prediction.label;
  const pictures = pair(view, index, shown).slice(0, shown ? 2 : 1);
  const captions = [stack.slices.length > 1 ? `${WORDS.slice} ${index + 1} ${WORDS.of} ${stack.slices.length}` : stack.title, `${WORDS.reportMap} ${look(shown).title}`];
  return element(
    "section",
    {},
    element("div", { class: "pair" }, ...pictures.map((picture, at) => element("figure", {}, element("img", { src: picture.toDataURL("image/png"), alt: captions[at] }), element("figcaption", {}, captions[at])))),
    element("div", {}, ...(prediction ? [verdict(prediction, texts), probabilities(prediction)] : [])),
  );
}

/** Save the slice that is shown, and beside it its heat map, over what was answered. @param {View} view */
export function savePicture(view) {
  const { stack, index, target } = view;
  const prediction = stack.predictions[index];
  const pictures = pair(view, index, prediction?.decision === "reject" ? "" : target);
  const lines = [stack.title, prediction?.headline ?? "", prediction?.summary ?? "", WORDS.research].filter((line) => line);
  const canvas = document.createElement("canvas");
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const font = "15px system-ui, sans-serif";
  pen.font = font;
  const wrapped = lines.flatMap((line) => folded(pen, line, 2 * PANEL - 16));
  canvas.width = 2 * PANEL;
  canvas.height = PANEL + 16 + 21 * wrapped.length;
  pen.fillStyle = "#111827";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pictures.forEach((picture, at) => {
    const scale = Math.min(PANEL / picture.width, PANEL / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    pen.drawImage(picture, at * PANEL + (PANEL - width) / 2, (PANEL - height) / 2, width, height);
  });
  pen.font = font;
  pen.fillStyle = "#f3f4f6";
  wrapped.forEach((line, at) => pen.fillText(line, 8, PANEL + 22 + 21 * at));
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

/** Save the answers as the service gave them, without the maps. @param {View} view */
export function saveAnswers({ stack }) {
  const predictions = stack.predictions.filter((one) => one).map((one) => ({ ...one, maps: undefined }));
  const content = { predictions, studies: stack.study ? [stack.study] : [], errors: [], disclaimer: WORDS.research };
  save(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }), `${plain(stack.title)}.json`);
}

/** A name for a file. @param {string} title */
function plain(title) {
  return title.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) || "answer";
}
