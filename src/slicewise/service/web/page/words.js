// Every word that the page shows, in one place, and the colours of classes.

export const WORDS = {
  skip: "Skip to the files",
  lead: "Brain MRI slices to answers that can be checked. Model:",
  research: "Research use only. Not a medical device; not for diagnosis or patient care.",
  key: "Key",
  keyUse: "Use this key",
  keyWanted: "This service wants a key. Enter it above; it is kept until this tab is closed.",
  keyWrong: "The service does not know this key.",
  keyGood: (/** @type {string} */ name, /** @type {string} */ role) => `Key ${name}: ${ROLES[role] ?? role};`,
  keyOpen: "No key is needed;",
  limits: (/** @type {number} */ most, /** @type {number} */ rate) =>
    `at most ${megabytes(most)} in one go${rate ? `, ${rate} requests a minute` : ""}`,
  alive: "The service is ready",
  busy: "The service is busy or not ready",
  offline: "The service does not answer. Is it still running?",

  files: "Files",
  drop: "Drop a scan here, paste a picture, or",
  chooseFiles: "choose files",
  chooseFolder: "choose a folder",
  synthetic: "try a synthetic slice",
  stored: "try a random slice of this server",
  dropHint:
    "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, or a zip of them. DICOM files that are dropped together are one study.",
  nothing: "There is no file in what was dropped that could be an image.",
  skipped: (/** @type {number} */ n) => `${n} file${n === 1 ? "" : "s"} skipped that can be no image`,
  waiting: "Waiting",
  reading: "Reading",
  answering: "Answering",
  done: "Done",
  failed: "Not answered",
  cancelled: "Cancelled",
  cancel: "Cancel",
  again: "Ask again",
  tooLarge: (/** @type {number} */ size, /** @type {number} */ most) =>
    `expected at most ${megabytes(most)} in one go, got ${megabytes(size)}; drop fewer files, or a smaller zip`,

  view: "The picture, and where the model looked",
  slice: "Slice",
  of: "of",
  heatMap: "heat map",
  ofClass: "of",
  answered: "the answered class",
  beside: "side by side",
  modelView: "what the model receives",
  reset: "reset",
  window: (/** @type {number} */ width, /** @type {number} */ level) => `W ${amount(width)} L ${amount(level)}`,
  noMap: "Nothing on this slice speaks for this class: there is no map.",
  mapMeans:
    "The heat map shows what spoke for a class, not the outline of a tumor, and says nothing about how sure the model is.",
  keysTitle: "Mouse, touch and keys",
  keys:
    "Wheel, arrow keys, Page Up and Down, Home and End, or a finger: slices. Drag, or [ ] { }: brightness and contrast. " +
    "Ctrl and wheel, two fingers, or + and -: zoom. Shift and drag: move. Double click or 0: as at first.",

  series: (/** @type {string | null} */ plane) => `The series${plane ? ` (${plane})` : ""}`,
  meaning: "What does this mean?",
  probability: "Probability of each class",
  tumor: "Tumor probability",
  threshold: "threshold",
  marked: "threshold marked",
  set: "Classes that cannot be ruled out",
  setMeans:
    "On held-out slices, the true class was in such a set about as often as the model promises. One class is a clear answer; " +
    "several mean that the picture does not decide between them.",
  tumorMeans:
    "One minus the probability of the class without a tumor. From the threshold on, the slice is flagged. " +
    "The threshold was fitted on held-out slices, so it need not be one half.",
  profile: "Tumor probability of each slice, in the order of the series",
  profileOf: (/** @type {number} */ flagged, /** @type {number} */ total) =>
    `${flagged} of ${total} at or above the threshold (dashed); hatched: withheld.`,
  keySlices: "Key slices",
  withheld: "Answer withheld",
  within: "within the fitted limits of this model",
  agree: "Agree",
  disagree: "Disagree",
  rightClass: "right class?",
  note: "note (no names)",
  sent: "Thank you: your feedback is in the audit log.",
  compare: "Compare the loaded models",
  comparing: "Asking each model",
  compared: "The same slice by each loaded model",

  takeAway: "Print or save",
  notes: "Notes for the printed report. They stay in this browser, are sent nowhere and kept nowhere.",
  print: "Print, or save as PDF",
  savePicture: "Picture (PNG)",
  saveAnswers: "Answers (JSON)",
  reportTitle: "SliceWise: answer for",
  reportNotes: "Notes",
  reportModel: "Model",
  reportTime: "Printed",
  reportMap: "with the heat map of",

  visit: "This visit",
  visitEmpty:
    "Nothing yet. What you drop is sent to this service only; its answers are recorded there, pictures are not kept.",
  slices: (/** @type {number} */ n) => (n === 1 ? "" : `${n} slices`),
  moveUp: (/** @type {string} */ what) => `Move up: ${what}`,
  moveDown: (/** @type {string} */ what) => `Move down: ${what}`,

  settings: "Settings",
  thresholdSet: "Tumor threshold (empty: that of the model)",
  tta: "average over six views of each slice (slower)",
  colours: "Colours of the heat map",
  ember: "ember",
  lagoon: "lagoon",
  grey: "grey",
  chart: "Probabilities as",
  bars: "bars",
  doughnut: "a doughnut",
  palette: "Colours of classes",
  safe: "told apart by colour-blind eyes",
  classic: "red, amber, green, violet",
  theme: "Theme",
  system: "as the system",
  light: "light",
  dark: "dark",
  settingsKept: "Kept in this browser. A changed threshold holds for what is dropped from now on.",
  forget: "All as at first",
  docs: "The routes of this service, to try out",
};

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 1 : 0)} MiB`;
}

/** @param {number} value */
function amount(value) {
  return Math.abs(value) >= 10 ? value.toFixed(0) : value.toPrecision(2);
}

/** @type {Record<string, string>} */
export const ROLES = {
  predict: "may ask for answers",
  review: "may ask for answers and see all records",
  admin: "may do everything",
};

/** @type {Record<string, string>} */
export const DECISIONS = {
  accept: "The answer lies within the limits in which this model was right often enough on held-out slices.",
  review: "A person should look: something speaks against taking this answer as it is.",
  reject: "The model does not answer: the picture is not of the kind it was made for.",
};

/** @type {Record<string, string>} What each reason means for the reader, beyond its name. */
export const MEANINGS = {
  not_calibrated: "Probabilities of this model are not tuned to real frequencies. Do not read them as such.",
  blank_image: "There is nothing to see on it.",
  threshold_not_fitted: "The limit from which a slice counts as tumor is a default, not a measured one.",
  threshold_overridden: "The limit from which a slice counts as tumor was set by whoever asked.",
  label_and_flag_disagree: "The likeliest class and the limit for a tumor say different things. Neither should be trusted alone.",
  slice_flagged: "Single slices look like a tumor, while the series as a whole does not. Look at the marked slices.",
  several_classes_possible: "On held-out slices, answers like this left more than one class open.",
  low_confidence: "Answers this unsure were wrong too often on held-out slices.",
  low_trust: "The training slices most like this one have other classes.",
  possibly_out_of_distribution: "Few training slices look like it: another scanner, sequence or plane may be the cause.",
  out_of_distribution: "No training slice looks like it. What the model would say is guesswork.",
  colour_picture: "MR slices are grey. A photograph or a coloured map is no input for this model.",
  not_mr: "The file names another modality, such as CT.",
  end_of_series: "At the ends of a series there is little brain, and the model is wrong more often.",
};

/** @type {Record<string, {title: string, safe: string, classic: string}>} */
const CLASSES = {
  glioma: { title: "Glioma", safe: "#d55e00", classic: "#ef4444" },
  meningioma: { title: "Meningioma", safe: "#e69f00", classic: "#f59e0b" },
  no_tumor: { title: "No tumor", safe: "#009e73", classic: "#10b981" },
  pituitary: { title: "Pituitary tumor", safe: "#0072b2", classic: "#6366f1" },
  tumor: { title: "Tumor", safe: "#d55e00", classic: "#ef4444" },
};
const SPARE = ["#0ea5e9", "#d946ef", "#84cc16", "#f97316", "#14b8a6", "#a855f7"];
/** @type {"safe" | "classic"} */
let palette = "safe";

/** Which colours classes have from now on. @param {string} name */
export function usePalette(name) {
  palette = name === "classic" ? "classic" : "safe";
}

/** How a class is shown; classes of a user's own model get a spare colour.
 * @param {string} name @param {number} [index] */
export function look(name, index = 0) {
  const words = name.replaceAll("_", " ");
  const known = CLASSES[name];
  if (known) return { title: known.title, colour: known[palette] };
  return { title: words.charAt(0).toUpperCase() + words.slice(1), colour: SPARE[index % SPARE.length] };
}

/** A share in percent that never rounds to certainty. @param {number} share */
export function percent(share) {
  const value = share * 100;
  if (value > 99.9 && value < 100) return "> 99.9 %";
  if (value < 0.1 && value > 0) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}
