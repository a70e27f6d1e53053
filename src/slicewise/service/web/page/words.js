// Every word that the page shows, in one place.

import { amount, megabytes, percent, thousands } from "./format.js";

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
    "PNG, JPEG, TIFF, BMP, WebP, DICOM, NIfTI, or a zip of them. DICOM files that are dropped together are one study. " +
    "Take names and numbers of patients out before: pixels and headers are sent to this service.",
  nothing: "There is no file in what was dropped that could be an image.",
  empty: (/** @type {string[]} */ names) => `Empty, and not sent: ${names.join(", ")}.`,
  unreadable: (/** @type {string} */ why) => `What was dropped cannot be read here: ${why}`,
  dicomFiles: (/** @type {number} */ n) => `${n} DICOM files`,
  http: (/** @type {number} */ status) => `HTTP status ${status}`,
  overrides: (/** @type {string[]} */ what) => `Settings for what is dropped now: ${what.join("; ")}.`,
  overrideThreshold: (/** @type {string} */ value) => `tumor threshold ${value}`,
  overrideTta: "average over six views",
  wasTta: "Averaged over six views of each slice, as the settings wanted.",
  skipped: (/** @type {number} */ n) => `${n} file${n === 1 ? "" : "s"} skipped that can be no image`,
  waiting: "Waiting",
  reading: "Reading",
  answering: "Answering",
  done: "Done",
  failed: "Not answered",
  cancelled: "Cancelled",
  cancel: "Cancel",
  remove: "Remove",
  again: "Ask again",
  tooLarge: (/** @type {number} */ size, /** @type {number} */ most) =>
    `expected at most ${megabytes(most)} in one go, got ${megabytes(size)}; slicewise predict on the command line takes more`,

  view: "The picture, and where the model looked",
  slice: "Slice",
  heatMap: "heat map",
  ofClass: "of",
  answered: "the answered class",
  beside: "side by side",
  modelView: "what the model receives",
  reset: "reset",
  window: (/** @type {number} */ width, /** @type {number} */ level) => `W ${amount(width)} L ${amount(level)}`,
  noClass: "none: the answer is withheld",
  brightness: "brightness",
  contrast: "contrast",
  millimetres: (/** @type {number} */ n) => `${n} mm`,
  position: (/** @type {number} */ index, /** @type {number} */ total) => `Slice ${index} of ${total}`,
  noMap: "Nothing on this slice speaks for this class: there is no map.",
  noAnswer: "No answer yet. What goes on with the file, or went wrong, stands under “This visit”.",
  mapMeans:
    "The heat map shows what spoke for a class, not the outline of a tumor, and says nothing about how sure the model is.",
  methodTitle: "How the heat map is made",
  method: [
    "The network turns the slice into a grid of features.",
    "For each class it is worked out how much each feature speaks for it (Grad-CAM).",
    "What speaks for the class is added up in each cell of the grid; what speaks against it is left out.",
    "The grid is enlarged to the slice. The ring marks the strongest cell; the scale of colours is that of this slice alone.",
    "Use it to check: a map beside the lesion, on the skull or on letters is a reason not to trust the answer.",
  ],
  keysTitle: "Mouse, touch and keys",
  keys:
    "Wheel, arrow keys, Page Up and Down, Home and End, or a finger: slices. Drag, or [ ] { }: brightness and contrast. " +
    "Ctrl and wheel, two fingers, or + and -: zoom. Shift and drag: move. Double click or 0: as at first.",

  series: (/** @type {string | null} */ plane) => `The series${plane ? ` (${plane})` : ""}`,
  firstOf: (/** @type {string} */ first, /** @type {number} */ n) => `${first}${n > 1 ? ` and ${n - 1} more` : ""}`,
  meaning: "What does this mean?",
  probability: "Probability of each class",
  tumor: "Tumor probability",
  marked: "threshold marked",
  set: "Classes that cannot be ruled out",
  setMeans:
    "On held-out slices, the true class was in such a set about as often as the model promises. One class is a clear answer; " +
    "several mean that the picture does not decide between them.",
  tumorMeans:
    "One minus the probability of the class without a tumor. From the threshold on, the slice is flagged. " +
    "A threshold that was fitted on held-out slices need not be one half.",
  profile: "Tumor probability of each slice, in the order of the series",
  confidences: "Confidence of the answer for each slice, in the order of the series",
  barOf: (/** @type {number} */ slice, /** @type {string} */ what) => `Slice ${slice}: ${what}`,
  profileOf: (/** @type {number} */ flagged, /** @type {number} */ total) => `; ${flagged} of ${total} at or above the threshold (dashed)`,
  hatched: "hatched: withheld.",
  keySlices: "Key slices",
  withheld: "Answer withheld",
  within: "within the fitted limits of this model",
  agree: "Agree",
  disagree: "Disagree",
  rightClass: "right class?",
  note: "note (no names)",
  send: "Send",
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
  reportFile: (/** @type {string} */ slice, /** @type {string} */ name) => `${slice}: ${name}`,
  storedName: (/** @type {string} */ seed, /** @type {string} */ label) => `random-${seed}${label && ` (in a folder of ${label})`}`,
  right: "Right",
  reportMap: "with the heat map of",

  visit: "This visit",
  visitEmpty:
    "Nothing yet. What you drop is sent to this service only; its answers are recorded there, pictures are not kept.",
  saveAll: "Save all answers (JSON)",
  visitFile: "slicewise-visit",
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
  leak:
    "A score on public files says little by itself: of 5,789 files of the best-known Kaggle set 5,455 show a patient, or a slice, " +
    "that stands on both sides of its published split. This knows them and keeps them together:",
  docs: "The routes of this service, to try out",

  model: "The model",
  evaluation: "Evaluation of a run",
  openMetrics: "open metrics.json",
  openHint: "The metrics.json that slicewise evaluate or slicewise train wrote; it may be dropped anywhere on this page. It stays in this browser.",
  evaluateHere: "Measure the main model on a manifest of this server",
  manifest: "manifest, below a folder that the operator allows",
  split: "split",
  splitDefault: "test, or all where there are no splits",
  resamples: "resamples",
  allowSeen: "also slices the model was trained on (said on every result)",
  evaluate: "Measure",
};


/** Of the dashboard: the panels of the model and of an evaluation. */
export const MEASURED = {
  notMeasured: "not measured",
  noInterval: "no interval",
  range: (/** @type {string} */ low, /** @type {string} */ high) => `${low} to ${high}`,
  measuring: "The service reads the slices and measures. This may take a minute.",
  measured: "Measured.",
  notJson: (/** @type {string} */ name, /** @type {string} */ why) => `${name}: expected the JSON of a metrics.json, got something else (${why})`,
  notMetrics: (/** @type {string} */ name, /** @type {string} */ got) =>
    `${name}: expected the metrics.json of slicewise evaluate or train, with n, groups, accuracy, per_class and tumor; got ${got}`,
  without: (/** @type {string} */ missing) => `JSON in which these are missing or of another kind: ${missing}`,
  odd: (/** @type {string} */ part) => `${part}: this part has values of other kinds than expected and cannot be shown; all that is in it stands at the end.`,
  made: "How it was measured",
  tooLong: (/** @type {string} */ name, /** @type {number} */ size, /** @type {number} */ most) => `${name}: expected at most ${megabytes(most)}, got ${megabytes(size)}`,
  title: (/** @type {string} */ name, /** @type {any} */ split) => `${name}, split ${split ?? "not said"}`,
  severalModels: "several models",
  seen: (/** @type {any} */ n, /** @type {boolean} */ checked) =>
    checked ? `${thousands(n)} of these slices were trained on (allow_seen): the metrics show memory as well as skill.` : "May hold slices the model was trained on (allow_seen, not checked).",
  warning: "Warning",
  caution: "Caution",
  model: "model",
  slices: "slices",
  groups: "groups",
  left: "left out",
  samePatients: (/** @type {any} */ n) => `${thousands(n)} more of these slices are of patients that trained the model (allow_seen).`,
  leftOut: (/** @type {any} */ seen, /** @type {any} */ patients, /** @type {any} */ failed, /** @type {any} */ untyped) => `${seen ?? "?"} seen in training, ${patients ?? "?"} of the same patients, ${failed ?? "?"} unreadable, ${untyped ?? "?"} tumors of an unknown kind`,
  check: "seen slices",
  readAs: "labels read as",
  intervals: "intervals",
  intervalOf: (/** @type {any} */ of) => `${of.level * 100} %, ${thousands(of.resamples)} resamples of whole groups, seed ${of.seed}`,
  groupMeans: "A group is what may belong together: a patient where known, else copies of one slice. Splits keep groups whole.",
  copies: (/** @type {string} */ where) => `no patients are known in ${where}: groups there are copies alone`,
  split: "split",
  command: "command",
  how: "how",
  headlines: "Headline metrics",
  metricsOf: (/** @type {any} */ split, /** @type {any} */ n, /** @type {any} */ groups) => `Of the split ${split ?? "(not said)"}: ${thousands(n)} slices in ${thousands(groups)} whole groups`,
  metric: "metric",
  value: "value",
  interval: "interval",
  lies: "from 0 to its largest",
  meaning: "meaning",
  tumorTitle: "Tumor or no tumor",
  tumorAt: (/** @type {string} */ limit, /** @type {string} */ why = "") => `A slice is flagged from this tumor probability on: ${limit}${why && ` (${why})`}.`,
  tumorBest: (/** @type {string} */ j, /** @type {string} */ at) =>
    `On these very slices the largest sensitivity + specificity - 1 (${j}) lies at ${at}. It is shown to compare with; a threshold is to be chosen on other slices.`,
  classes: "Each class against all the others",
  className: "class",
  matrix: "What was answered for what",
  matrixHow: "Rows are true classes, columns answers; percentages are of the row. Right answers have a frame. Counted from the slices of each class and its mistakes.",
  truth: "true class",
  sources: "Each source",
  sourcesHow: "Where classes come from different sources, a model can learn the sources instead of the tumors.",
  decisions: "Accept, review, reject",
  decision: "decision",
  share: "share",
  accuracyWithin: "accuracy within",
  reason: "reason",
  source: "source",
  answers: "answers",
  confused: "true → answered",
  method: "calibration",
  decisionsHow: (/** @type {any} */ score, /** @type {string} */ area) => `Kept by ${score ?? "confidence"}, the surest first, the area under the risk-coverage curve is ${area}.`,
  reasons: "Why answers were not simply accepted",
  sets: "Prediction sets: how often the true class is among the possible ones",
  promised: (/** @type {string} */ share) => `They aim at ${share} or more.`,
  all: "all",
  confidence: "How sure right and wrong answers are",
  mistakes: "Which mistakes are made, the most frequent first",
  folds: "Fold by fold, each answered by a model trained without it",
  mean: "mean of folds",
  fold: (/** @type {string} */ name) => `fold ${name}`,
  calibration: "Which calibration helps: smaller is better, a change below 0 is a gain",
  rule: "With the decision rule fitted on the other folds",
  curves: "ROC, precision-recall and reliability curves are pictures beside metrics.json (roc.png, pr.png, reliability.png): their points are not in it.",
  whole: "All that is in it",
  more: (/** @type {number} */ n) => `${thousands(n)} more`,
};

/** @type {[path: string, title: string, meaning: string, largest?: number][]} The metrics that an evaluation opens with. */
export const HEADLINES = [
  ["accuracy", "Accuracy", "share of slices answered right"],
  ["memorisation_1nn", "Copying (1-NN)", "what copying the label of the nearest training slice would score, without learning"],
  ["balanced_accuracy", "Balanced accuracy", "mean over classes of the share answered right"],
  ["macro_auroc", "Macro AUROC", "how well the probabilities rank each class; 0.5 is chance"],
  ["macro_f1", "Macro F1", "mean over classes of precision and sensitivity together"],
  ["ece", "Calibration error (ECE)", "mean gap of confidence and accuracy; 0 is best"],
  ["brier", "Brier score", "squared error of the probabilities; 0 is best, 2 worst", 2],
  ["tumor.sensitivity", "Tumor sensitivity", "share of tumor slices flagged"],
  ["tumor.specificity", "Tumor specificity", "share of tumor-free slices left alone"],
  ["tumor.auroc", "Tumor AUROC", "how well tumors are ranked above the others"],
  ["tumor.auprc", "Tumor AUPRC", "average precision; depends on the mix"],
  ["tumor.ppv", "Tumor PPV", "share of tumors among the flagged, in this mix"],
  ["tumor.npv", "Tumor NPV", "share of tumor-free among the rest, in this mix"],
  ["decisions.accept.share", "Accepted", "share of answers that stand alone"],
  ["decisions.accept.accuracy", "Accuracy of accepted", "share of these that is right"],
];

/** @type {Record<string, string>} Names of fields, where a name in a table reads better. */
export const FIELDS = {
  n: "slices", auroc: "AUROC", auprc: "AUPRC", f1: "F1", ece: "ECE", brier: "Brier score", nll: "negative log likelihood", set_size: "mean size",
  "tumor.sensitivity": "tumor sensitivity", "tumor.specificity": "tumor specificity", balanced_accuracy: "balanced accuracy", p10: "10th percentile",
  p50: "median", p90: "90th percentile", confident: "from 0.9", share_of_true: "of the true class", median_confidence: "median confidence",
};

const near = (/** @type {number} */ value) => value.toFixed(3);
const fittedOn = (/** @type {any} */ of) => `${thousands(of.n)} slices of ${thousands(of.groups)} groups`;
const range = (/** @type {number} */ value, /** @type {number[] | null} */ ci) => (ci ? `${near(value)} (${ci.map(near).join(" to ")})` : near(value));

/** Of the panel of the model. */
export const MODEL = {
  roles: /** @type {Record<string, string>} */ ({ main: "answers", challenger: "is compared: answers a share of requests, or none that is seen" }),
  identity: "identity (SHA-256)",
  role: "role",
  task: "task",
  classes: "classes",
  noTumor: (/** @type {string} */ name) => `${name} is the class without a tumor`,
  architecture: "architecture",
  input: "input",
  pixels: (/** @type {number} */ side) => `${side} × ${side} pixels, one grey channel`,
  made: "made",
  use: "intended use",
  decision: "How it decides",
  data: "What data trained it",
  metrics: "What was measured",
  noMetrics: "Nothing: this bundle carries no evaluation.",
  fails: "Where it fails",
  licences: "Licences",
  noLicences: "None is named.",
  notCommercial: "Not for commercial use:",
  card: "The whole model card",
  noCard: "No model card of this bundle is to be had here.",
  calibrated: (/** @type {any} */ rule) =>
    rule.temperature === null
      ? "Probabilities are not calibrated: no temperature was fitted."
      : `Probabilities are calibrated: scores are divided by a temperature of ${near(rule.temperature)}` +
        `${rule.class_bias ? `, and these biases are added: ${Object.entries(rule.class_bias).map(([name, bias]) => `${name.replaceAll("_", " ")} ${bias < 0 ? "" : "+"}${near(bias)}`).join(", ")}` : ""}` +
        `${rule.fitted_on ? `; fitted on ${rule.fitted_on}` : ""}.${rule.class_balance ? ` A class counts as its frequency to the power ${1 - rule.class_balance}: rare classes are taken to be less rare.` : ""}`,
  flagged: (/** @type {any} */ point) =>
    point
      ? `A slice is flagged as a tumor from a tumor probability of ${near(point.threshold)} on (rule: ${RULES[point.rule] ?? point.rule}). On the ${fittedOn(point)} that it was chosen on: ` +
        `sensitivity ${range(point.sensitivity, point.sensitivity_ci)}, specificity ${range(point.specificity, point.specificity_ci)}. On other slices expect the metrics below.`
      : "No tumor threshold was fitted; where there is a class without a tumor, 0.5 is assumed.",
  sets: (/** @type {any} */ sets) =>
    sets ? `Classes that cannot be ruled out are to hold the true one in ${percent(sets.coverage)} of the slices of each class; fitted on ${fittedOn(sets)}.` : "No prediction sets were fitted.",
  accepted: (/** @type {any} */ of) =>
    of
      ? `An answer can stand alone from a ${of.trust === null ? `confidence of ${near(of.confidence)}` : `trust score of ${near(of.trust)}`} on. The aim is ${percent(of.target)} right; ` +
        `where it was fitted (${fittedOn(of)}) ${percent(of.accuracy)} were right and ${percent(of.coverage)} of slices were accepted.` +
        `${of.unknown === null ? "" : ` Of slices of a class it never saw, ${percent(of.unknown)} would be accepted as another.`}`
      : "No answer is accepted by itself: no limits were fitted.",
  refused: "It gives no answer for pictures in colour, blank ones, and files of another modality.",
  outOfDistribution: (/** @type {any} */ ood) =>
    ood
      ? `It gives no answer either for pictures out of distribution: a score from ${near(ood.reject_above)} on (${percent(ood.rejected)} of ${fittedOn(ood)} held out); ` +
        `from ${near(ood.review_above)} on a person is to look (${percent(ood.reviewed)}). How the score is made: ${ood.method}.`
      : "It has no limit for pictures out of distribution.",
  kinds: (/** @type {string[]} */ names) => `Fitted against ${names.length} kinds of other pictures`,
};

/** @type {Record<string, string>} */
const RULES = { youden_j: "largest sensitivity + specificity" };

/** @type {[licence: RegExp, words: string][]} The first that fits is said. */
export const LICENCES = [
  [/\bNC\b|non-?\s?commercial/i, "not for commercial use"],
  [/not documented|unknown|unclear/i, "terms are not known: ask before passing it on"],
  [/CC0|public domain/i, "no conditions"],
  [/CC[ -]BY[ -]SA/i, "name the authors, pass on under the same terms"],
  [/CC[ -]BY/i, "name the authors"],
  [/\b(MIT|Apache-2\.0|BSD)/i, "free use, also commercial, with the notice kept"],
];

/** @type {Record<string, string>} */
const ROLES = {
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
