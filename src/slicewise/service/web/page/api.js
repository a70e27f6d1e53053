// Requests to the service: with the key of this tab, and problems in the words of the service.

import { WORDS } from "./words.js";

const KEY = `slicewise-key:${new URL(".", document.baseURI).pathname}`;
const LONGEST_WAIT_S = 10;

/** What went wrong with a request, in words for the reader. */
export class Problem extends Error {
  /** @param {string} message @param {number} status @param {{source: string, error: string}[]} [errors] */
  constructor(message, status, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

let secret = "";
try {
  secret = sessionStorage.getItem(KEY) ?? "";
} catch {
  // no storage: the key holds until the page is left
}

/** The key of this tab; empty where there is none. */
export function key() {
  return secret;
}

/** @param {string} given */
export function setKey(given) {
  secret = given;
  try {
    if (given) sessionStorage.setItem(KEY, given);
    else sessionStorage.removeItem(KEY);
  } catch {
    // as above
  }
}

/** What the service says of itself. @returns {Promise<import("./types.js").Info>} */
export async function info() {
  return (await ask("./", { headers: { Accept: "application/json" } })).json();
}

/** Who the key of this tab belongs to. @returns {Promise<import("./types.js").Caller>} */
export async function caller() {
  return (await ask("v1/caller")).json();
}

/** @returns {Promise<{models: import("./types.js").Model[]}>} */
export async function models() {
  return (await ask("v1/models")).json();
}

/** The model card of a bundle, Markdown; null where there is none. @param {string} sha256 @returns {Promise<string | null>} */
export async function card(sha256) {
  return (await ask(`v1/models/${sha256}/card`).catch((error) => (error.status === 404 ? null : Promise.reject(error))))?.text() ?? null;
}

/** Measure the main bundle on a manifest of the server.
 * @param {{manifest: string, split: string | null, resamples: number, allow_seen: boolean}} wanted @param {AbortSignal} signal
 * @returns {Promise<{report: Record<string, any>}>} */
export async function evaluate(wanted, signal) {
  const headers = { "Content-Type": "application/json" };
  return (await ask("v1/evaluate", { method: "POST", headers, body: JSON.stringify(wanted), signal })).json();
}

/** Whether the service can answer now. */
export async function ready() {
  try {
    return (await fetch("readyz")).ok;
  } catch {
    return false;
  }
}

/** A slice to try: a synthetic one, or one of those that lie on the server. @param {string} kind */
export async function sample(kind) {
  const response = await ask(kind === "stored" ? "v1/sample?kind=stored" : "v1/sample");
  const seed = response.headers.get("X-Sample-Seed") ?? "0";
  const label = response.headers.get("X-Sample-Label") ?? "";
  const content = await response.blob();
  return new File([content], kind === "stored" ? WORDS.storedName(seed, label) : `synthetic-${seed}.png`, { type: content.type });
}

/** The slices of a file as numbers, still packed, from the first that is wanted.
 * @param {File} file @param {number} first @param {AbortSignal} signal */
export async function read(file, first, signal) {
  return (await send(`v1/read?model_input=true&first=${first}`, [file], {}, signal)).arrayBuffer();
}

/** Answers for files, with heat maps as numbers.
 * @param {File[]} files @param {Record<string, string>} options @param {AbortSignal} [signal]
 * @returns {Promise<import("./types.js").Answers>} */
export async function predict(files, options, signal) {
  return (await send("v1/predict/batch", files, { ...options, explain: "map" }, signal)).json();
}

/** @param {string} id @param {{agree: boolean, label?: string, note?: string}} said */
export async function feedback(id, said) {
  const headers = { "Content-Type": "application/json" };
  await ask(`v1/predictions/${id}/feedback`, { method: "POST", headers, body: JSON.stringify(said) });
}

/** @param {string} path @param {File[]} files @param {Record<string, string>} fields @param {AbortSignal} [signal] */
function send(path, files, fields, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const file of files) form.append("file", file, file.name);
  return ask(path, { method: "POST", body: form, signal });
}

/** A good answer, or a Problem; a service that is busy for a moment is asked again, once.
 * @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (!/^[\x21-\x7e]*$/.test(key())) throw new Problem(WORDS.keyWrong, 401); // no header can hold it
  if (key()) headers.set("X-API-Key", key());
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(path, { ...options, headers }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Problem(WORDS.offline, 0);
    });
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After") ?? 0);
    const short = [429, 503].includes(response.status) && wait > 0 && wait <= LONGEST_WAIT_S;
    if (!short || attempt > 0) throw await problemOf(response);
    await pause(wait * 1000, options.signal ?? undefined);
  }
}

/** @param {Response} response */
async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) return new Problem(key() ? WORDS.keyWrong : WORDS.keyWanted, 401);
  return new Problem(said.detail ?? WORDS.http(response.status), response.status, said.errors ?? []);
}

/** @param {number} ms @param {AbortSignal} [signal] @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException(WORDS.cancelled, "AbortError"));
    });
  });
}
