// What was measured of a model, as metrics.json and bundles hold it, in tables and bars; no requests.

import { button, element } from "../dom.js";
import { look, percent } from "../format.js";
import { FIELDS, HEADLINES, MEANINGS, MEASURED } from "../words.js";

/** @typedef {import("../types.js").Measured} Measured */
/** @typedef {Record<string, any>} Report */

const STEP = 200; // entries of the tree that are added at once
const CLASS_FIELDS = ["n", "groups", "precision", "sensitivity", "specificity", "f1", "auroc", "auprc"];
const SOURCE_FIELDS = ["n", "groups", "classes", "accuracy", "balanced_accuracy", "tumor.sensitivity", "tumor.specificity"];

/** Three decimals that are never rounded to certainty. @param {any} value */
function number(value) {
  if (typeof value !== "number") return MEASURED.notMeasured;
  if (value > 0 && value < 0.0005) return "<0.001";
  if (value >= 0.9995 && value < 1 - 1e-14) return ">0.999";
  return value.toFixed(3).replace(/^-(0\.000)$/, "$1");
}

/** @param {any} report @param {string} path names with dots between */
const found = (report, path) => path.split(".").reduce((at, name) => at?.[name], report);

/** @param {any} measured */
const ends = (measured) => (typeof measured?.ci_low === "number" ? MEASURED.range(number(measured.ci_low), number(measured.ci_high)) : MEASURED.noInterval);

/** A measured value for a cell: value above its interval. @param {any} measured */
function shown(measured) {
  const value = measured?.value ?? measured?.mean;
  if (typeof value !== "number") return element("span", { class: "lead", title: measured?.reason }, MEASURED.notMeasured);
  return element("span", {}, number(value), element("span", { class: "interval" }, ends(measured)));
}

/** @param {any} one */
function cell(one) {
  if (one?.nodeName === "TD") return one;
  if (one?.nodeName) return element("td", {}, one);
  if (one === null || one === undefined || typeof one === "object") return element("td", {}, shown(one));
  return element("td", {}, Number.isInteger(one) ? one.toLocaleString("en") : typeof one === "number" ? number(one) : String(one));
}

/** A table whose rows begin with their heading; cells are words, numbers, measured values or elements.
 * @param {string} caption @param {string[]} columns @param {any[][]} rows */
export function table(caption, columns, rows) {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  const body = rows.map(([first, ...others]) => element("tr", {}, element("th", { scope: "row" }, first), ...others.map(cell)));
  const whole = element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  return element("div", { class: "scroll", role: "group", tabindex: 0, "aria-label": caption }, whole);
}

/** One row for each entry, with these fields of it. @param {string} caption @param {string} first
 * @param {any} entries @param {string[]} fields @param {(name: string) => string} [named] */
function listed(caption, first, entries, fields, named = (name) => name) {
  if (!Object.keys(entries ?? {}).length) return null;
  const columns = fields.map((field) => FIELDS[field] ?? field);
  return table(caption, [first, ...columns], Object.entries(entries).map(([name, entry]) => [named(name), ...fields.map((field) => found(entry, field))]));
}

/** Terms and what they are; those without are left out. @param {[string, any][]} pairs */
export function facts(pairs) {
  const known = pairs.filter(([, what]) => what !== null && what !== undefined && what !== "");
  return element("dl", { class: "facts" }, ...known.flatMap(([term, what]) => [element("dt", {}, term), element("dd", {}, what?.nodeName ? what : String(what))]));
}

/** @param {string} kind @param {string} title @param {string} words */
export const notice = (kind, title, words) => element("p", { class: `notice ${kind}` }, element("b", {}, title), words);

/** A section with a heading; null where nothing is in it. @param {string} title @param {...(Node | string | null | undefined)} inside */
function section(title, ...inside) {
  const known = inside.filter((one) => one);
  if (!known.some((one) => typeof one !== "string")) return null;
  const made = element("section", {}, element("h4", {}, title), ...known.map((one) => (typeof one === "string" ? element("p", { class: "lead" }, one) : one)));
  for (const caption of made.querySelectorAll("caption")) caption.classList.toggle("unseen", caption.textContent === title);
  return made;
}

/** Where a value lies, with its interval as whiskers; the numbers stand beside it. @param {Measured} measured @param {number} most */
function whisker({ value, ci_low: low, ci_high: high }, most) {
  const place = (/** @type {number} */ at) => `${(100 * Math.min(1, Math.max(0, at / most))).toFixed(2)}%`;
  const reach = low === null || high === null || low === undefined || high === undefined ? null : element("span", { class: "reach", style: { left: place(low), width: place(high - low) } });
  return element("span", { class: "whisker", "aria-hidden": "true" }, reach, value === null ? null : element("span", { class: "mark", style: { left: place(value) } }));
}

/** The headline metrics as cards. @param {Report} report */
function cards(report) {
  const known = HEADLINES.filter(([path]) => found(report, path));
  const made = known.map(([path, title, meaning, most = 1]) => {
    const measured = found(report, path);
    const below = typeof measured.value === "number" ? ends(measured) : measured.reason ?? "";
    return element("li", {}, element("span", {}, title), element("b", {}, number(measured.value)), whisker(measured, most), element("span", { class: "interval" }, below), element("span", { class: "lead" }, meaning));
  });
  return element("ul", { class: "headlines" }, ...made);
}

/** The headline metrics as a table. @param {Report} report @param {string} [caption] */
export function metricsTable(report, caption = MEASURED.headlines) {
  const rows = HEADLINES.filter(([path]) => found(report, path)).map(([path, title, meaning, most = 1]) => {
    const measured = found(report, path);
    return [title, number(measured.value), typeof measured.value === "number" ? ends(measured) : measured.reason ?? "", whisker(measured, most), meaning];
  });
  return table(caption, [MEASURED.metric, MEASURED.value, MEASURED.interval, MEASURED.lies, MEASURED.meaning], rows);
}

/** Slices of each true class by answer, from the slices of each class and its mistakes; null where those are not in the report. @param {Report} report */
function matrix(report) {
  /** @type {any[] | undefined} */
  const mistakes = report.error_analysis?.mistakes;
  if (!report.per_class || !Array.isArray(mistakes)) return null;
  const names = Object.keys(report.per_class);
  const rows = names.map((truth) => {
    const wrong = mistakes.filter((one) => one.true === truth);
    const all = report.per_class[truth].n;
    const right = wrong.reduce((left, one) => left - one.n, all);
    if (!(right >= 0)) throw new RangeError("more mistakes than slices");
    const cells = names.map((answer) => {
      const count = answer === truth ? right : (wrong.find((one) => one.answered === answer)?.n ?? 0);
      const share = all ? count / all : 0;
      return element("td", { class: answer === truth ? "cell right" : "cell", style: { "--share": `${(share * 50).toFixed(1)}%` } }, count.toLocaleString("en"), element("span", { class: "interval" }, percent(share)));
    });
    return [look(truth).title, ...cells];
  });
  return table(MEASURED.matrix, [MEASURED.truth, ...names.map((name) => look(name).title)], rows);
}

/** What was evaluated, and how. @param {Report} report */
function made(report) {
  const { bundle, refused, labels, interval } = report;
  const count = (/** @type {any} */ of) => of?.count ?? (typeof of === "number" ? of : null);
  const copies = report.groups_of_copies?.length ? `; ${MEASURED.copies(report.groups_of_copies.join(", "))}` : "";
  return facts([
    [MEASURED.model, bundle && element("span", {}, `${bundle.name} ${bundle.version} `, element("code", {}, bundle.sha256))],
    [MEASURED.split, report.split],
    [MEASURED.slices, report.n?.toLocaleString("en")],
    [MEASURED.groups, typeof report.groups === "number" ? `${report.groups.toLocaleString("en")}${copies}. ${MEASURED.groupMeans}` : null],
    [MEASURED.left, refused && MEASURED.leftOut(count(refused.seen), count(refused.same_patients), count(refused.failed), count(refused.untyped))],
    [MEASURED.check, refused?.seen?.check],
    [MEASURED.readAs, Object.entries(labels?.read_as ?? {}).map(([from, to]) => `${from} → ${to}`).join(", ")],
    [MEASURED.intervals, interval && MEASURED.intervalOf(interval)],
    [MEASURED.how, report.description],
    [MEASURED.command, report.command && element("code", {}, report.command)],
  ]);
}

/** @param {Report} report */
function sources({ per_source: given = {} }) {
  const held = (/** @type {Record<string, number>} */ slices) => Object.entries(slices).filter(([, n]) => n).map(([name, n]) => `${look(name).title} ${n.toLocaleString("en")}`);
  const rows = Object.fromEntries(Object.entries(given).map(([name, one]) => [name, { ...one, classes: held(one.slices).join(", ") }]));
  return section(MEASURED.sources, MEASURED.sourcesHow, listed(MEASURED.sources, MEASURED.source, rows, SOURCE_FIELDS));
}

/** @param {Report} report */
function decided(report) {
  const { decisions = {}, conformal: sets } = report;
  const counts = Object.entries(decisions.counts ?? {}).map(([name, n]) => [name, n, decisions[name]?.share, decisions[name]?.accuracy]);
  const reasons = Object.entries(decisions.reasons ?? {}).map(([name, n]) => [name.replaceAll("_", " "), n, MEANINGS[name] ?? ""]);
  const covered = sets?.per_class && { [MEASURED.all]: sets, ...sets.per_class };
  return [
    section(
      MEASURED.decisions,
      MEASURED.decisionsHow(decisions.scored_by, number(decisions.risk_coverage_area?.value)),
      counts.length ? table(MEASURED.decisions, [MEASURED.decision, MEASURED.slices, MEASURED.share, MEASURED.accuracyWithin], counts) : null,
      reasons.length ? table(MEASURED.reasons, [MEASURED.reason, MEASURED.slices, MEASURED.meaning], reasons) : null,
    ),
    section(MEASURED.sets, sets?.promised && MEASURED.promised(percent(sets.promised)), listed(MEASURED.sets, MEASURED.truth, covered, ["coverage", "set_size"], (name) => look(name).title)),
  ];
}

/** @param {Report} report */
function mistaken(report) {
  const { confidence, mistakes = [] } = report.error_analysis ?? {};
  const rows = mistakes.map((/** @type {any} */ one) => [
    `${look(one.true).title} → ${look(one.answered).title}`, one.n, one.groups, percent(one.share_of_true), number(one.median_confidence), one.confident,
    Object.entries(one.sources ?? {}).map(([name, n]) => `${name} ${n}`).join(", "),
  ]);
  const columns = ["n", "groups", "share_of_true", "median_confidence", "confident", "sources"].map((field) => FIELDS[field] ?? field);
  return [
    section(MEASURED.confidence, listed(MEASURED.confidence, MEASURED.answers, confidence, ["n", "p10", "p50", "p90", "confident"])),
    section(MEASURED.mistakes, rows.length ? table(MEASURED.mistakes, [MEASURED.confused, ...columns], rows) : null),
  ];
}

/** What cross-validation adds. @param {Report} report */
function folded(report) {
  const { folds = {}, over_folds: over, calibration_comparison: compared, rule_across_folds: rule } = report;
  const rows = HEADLINES.filter(([path]) => found(over, path)).map(([path, title]) => [title, ...Object.values(folds).map((fold) => found(fold, path) ?? null), found(over, path)]);
  const counts = ["n", "groups"].map((field) => [FIELDS[field] ?? field, ...Object.values(folds).map((fold) => fold[field]), ""]);
  return [
    section(MEASURED.folds, over?.description, rows.length ? table(MEASURED.folds, [MEASURED.metric, ...Object.keys(folds).map(MEASURED.fold), MEASURED.mean], [...counts, ...rows]) : null),
    section(MEASURED.calibration, compared?.description, listed(MEASURED.calibration, MEASURED.method, { ...compared?.methods, ...compared?.change }, ["ece", "brier", "nll"], (name) => name.replaceAll("_", " "))),
    section(MEASURED.rule, rule ? metricsTable(rule, MEASURED.rule) : null),
  ];
}

/** Any value, closed at first; its parts are made when it is opened. @param {string} name @param {any} value @returns {HTMLElement} */
function tree(name, value) {
  const entries = value !== null && typeof value === "object" ? Object.entries(value) : null;
  if (!entries?.length) return element("p", {}, `${name}: `, element("code", {}, JSON.stringify(value)));
  const inside = element("div");
  const more = () => {
    const from = inside.childElementCount;
    inside.append(...entries.slice(from, from + STEP).map(([key, one]) => tree(key, one)));
    const left = entries.length - inside.childElementCount;
    rest.replaceChildren(...(left ? [button(MEASURED.more(left), more)] : []));
  };
  const rest = element("p");
  return element("details", { class: "tree", ontoggle: () => inside.childElementCount || more() }, element("summary", {}, `${name} (${entries.length})`), inside, rest);
}

/** Tumor against no tumor, at the threshold. @param {Report} report */
function flagged({ tumor: { threshold } = {}, threshold_sweep: best }) {
  const known = typeof threshold?.value === "number";
  return section(
    MEASURED.tumorTitle,
    threshold && element("p", {}, known ? MEASURED.tumorAt(number(threshold.value), threshold.reason) : MEASURED.tumorAt(threshold.reason ?? MEASURED.notMeasured)),
    typeof best?.threshold === "number" ? MEASURED.tumorBest(number(best.youden_j), number(best.threshold)) : null,
  );
}

/** What a reader must know first. @param {Report} report */
function warned({ allow_seen: allowed, seen_evaluated: seen, same_patients_evaluated: patients, cautions }) {
  const stamp = allowed && seen?.count !== 0 ? [notice("alert", MEASURED.warning, MEASURED.seen(seen?.count, seen?.checked === true))] : [];
  if (allowed && patients?.count) stamp.push(notice("alert", MEASURED.warning, MEASURED.samePatients(patients.count)));
  return [...stamp, ...(cautions ?? []).map((/** @type {string} */ words) => notice("caution", MEASURED.caution, words))];
}

/** All that a report says, the most important first. @param {Report} report @param {(report: Report) => Node} [headline] */
export function dashboard(report, headline = cards) {
  const titled = (/** @type {string} */ name) => look(name).title;
  /** @type {[string, () => any][]} */
  const parts = [
    [MEASURED.caution, () => warned(report)],
    [MEASURED.made, () => made(report)],
    [MEASURED.headlines, () => section(MEASURED.headlines, headline(report))],
    [MEASURED.tumorTitle, () => flagged(report)],
    [MEASURED.classes, () => section(MEASURED.classes, listed(MEASURED.classes, MEASURED.className, report.per_class, CLASS_FIELDS, titled))],
    [MEASURED.matrix, () => section(MEASURED.matrix, MEASURED.matrixHow, matrix(report))],
    [MEASURED.sources, () => sources(report)],
    [MEASURED.decisions, () => decided(report)],
    [MEASURED.mistakes, () => mistaken(report)],
    [MEASURED.folds, () => folded(report)],
  ];
  const shown = parts.flatMap(([name, make]) => {
    try {
      return make();
    } catch {
      return notice("alert", MEASURED.warning, MEASURED.odd(name)); // the file of another program, or changed by hand
    }
  });
  return element("div", { class: "dashboard" }, ...shown, tree(MEASURED.whole, report));
}
