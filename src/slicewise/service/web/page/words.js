// Every word that the page shows, in one place.

export const WORDS = {
  drop: "Drop a scan here, or choose files or a folder",
  dropHint: "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, or a zip of them. Several DICOM files are one study.",
  reading: "Reading",
  answering: "Answering",
  waiting: "Waiting",
  done: "Done",
  failed: "Not answered",
  cancelled: "Cancelled",
  cancel: "Cancel",
  remove: "Remove",
  nothing: "There is no file in what was dropped that could be an image.",
  skipped: (/** @type {number} */ n) => `${n} file${n === 1 ? "" : "s"} skipped that can be no image`,
  offline: "The service does not answer. Is it still running?",
  keyWanted: "This service wants a key. Enter it above; it is kept until this tab is closed.",
  keyWrong: "The service does not know this key.",
  keyGood: (/** @type {string} */ name, /** @type {string} */ role) => `Key ${name}: ${ROLES[role] ?? role};`,
  keyOpen: "No key is needed;",
  tooLarge: (/** @type {number} */ size, /** @type {number} */ most) =>
    `expected at most ${megabytes(most)} in one go, got ${megabytes(size)}; drop fewer files, or a smaller zip`,
  limits: (/** @type {number} */ most, /** @type {number} */ rate) =>
    `at most ${megabytes(most)} in one go${rate ? `, ${rate} requests a minute` : ""}`,
  alive: "The service is ready",
  busy: "The service is busy or not ready",
  withheld: "Answer withheld",
  slice: "Slice",
  of: "of",
  probability: "Probability of each class",
  tumor: "Tumor probability",
  threshold: "threshold",
  set: "Classes that cannot be ruled out",
  profile: "Tumor probability of each slice, in the order of the series",
  keySlices: "Key slices",
  noMap: "Nothing on this slice speaks for this class: there is no map.",
  within: "within the fitted limits of this model",
  agree: "Agree",
  disagree: "Disagree",
  sent: "Thank you: your feedback is in the audit log.",
  research: "Research use only. Not a medical device; not for diagnosis or patient care.",
};

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 1 : 0)} MiB`;
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

/** @type {Record<string, {title: string, colour: string}>} */
const CLASSES = {
  glioma: { title: "Glioma", colour: "#ef4444" },
  meningioma: { title: "Meningioma", colour: "#f59e0b" },
  no_tumor: { title: "No tumor", colour: "#10b981" },
  pituitary: { title: "Pituitary tumor", colour: "#6366f1" },
  tumor: { title: "Tumor", colour: "#ef4444" },
};
const SPARE = ["#0ea5e9", "#d946ef", "#84cc16", "#f97316", "#14b8a6", "#a855f7"];

/** How a class is shown; classes of a user's own model get a spare colour.
 * @param {string} name @param {number} [index] */
export function look(name, index = 0) {
  const words = name.replaceAll("_", " ");
  return CLASSES[name] ?? { title: words.charAt(0).toUpperCase() + words.slice(1), colour: SPARE[index % SPARE.length] };
}

/** A share in percent that never rounds to certainty. @param {number} share */
export function percent(share) {
  const value = share * 100;
  if (value > 99.9 && value < 100) return "> 99.9 %";
  if (value < 0.1 && value > 0) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}
