// What a reader drops, chooses or pastes, to jobs: files that are answered together.

import { WORDS } from "../words.js";

/** @typedef {{file: File, path: string}} Found */
/** @typedef {() => Promise<File>} Made a file that is made when it is sent */
/** Files that are answered together. They are sent under plain names; `names` has their own.
 * @typedef {{title: string, names: Map<string, string>, whole: Made, chunks: Made[], notes: string,
 *   errors: {source: string, error: string}[]}} Job */

const SKIPPED = /(^|\/)(\.|__macosx\/|thumbs\.db$|desktop\.ini$|dicomdir$|autorun\.inf$)/i;
const IMAGE = /\.(png|jpe?g|jfif|tiff?|bmp|webp|gif|jp2|jls|nii|nii\.gz|gz|zip|dcm|dic|dicom|ima)$/i; // in a folder, the rest is none
const STUDY = "study.zip";
const DEFLATED = 8;
const CHUNK_FILES = 8; // DICOM files that are read together, so that the first appears soon

/** All files of a drop, folders to any depth. @param {DataTransfer} transfer @returns {Promise<Found[]>} */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = await Promise.all(entries.map((entry) => walk(/** @type {FileSystemEntry} */ (entry))));
  return found.flat();
}

/** @param {Iterable<File>} files @returns {Found[]} */
export function chosen(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** @param {FileSystemEntry} entry @returns {Promise<Found[]>} */
async function walk(entry) {
  if (entry.isFile) {
    const one = /** @type {FileSystemFileEntry} */ (entry);
    const file = await new Promise((resolve, reject) => one.file(resolve, reject));
    return [{ file: /** @type {File} */ (file), path: entry.fullPath.replace(/^\//, "") }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at most
    if (!some.length) return found;
    for (const one of some) found.push(...(await walk(one)));
  }
}

/** Files that belong together, and which were left out: DICOM files of a drop are one study.
 * @param {Found[]} found @returns {Promise<{jobs: Job[], skipped: number, empty: string[]}>} */
export async function jobsOf(found) {
  const images = found.filter((one) => !SKIPPED.test(one.path));
  const some = images.filter((one) => one.file.size > 0);
  const empty = images.filter((one) => one.file.size === 0).map((one) => one.path);
  const are = await Promise.all(some.map((one) => isDicom(one.file)));
  const dicom = some.filter((_, index) => are[index]);
  const others = some.filter(({ path }, index) => !are[index] && (!path.includes("/") || IMAGE.test(path)));
  const jobs = others.map(single);
  if (dicom.length) jobs.unshift(dicom.length === 1 ? single(dicom[0]) : study(dicom));
  return { jobs, skipped: found.length - empty.length - dicom.length - others.length, empty };
}

/** @param {Found} found @returns {Job} */
function single({ file, path }) {
  const plain = `file${/(\.nii)?\.[a-z0-9]{1,8}$/i.exec(path)?.[0] ?? ""}`;
  const made = async () => new File([file], plain, { type: file.type });
  return { title: path, names: new Map([[plain, path]]), whole: made, chunks: [made], notes: "", errors: [] };
}

/** The folder that holds all of some files; empty where there is none. @param {string[]} paths */
export function folderOf(paths) {
  const parts = paths.map((path) => path.split("/").slice(0, -1));
  const differ = parts[0].findIndex((part, depth) => parts.some((other) => other[depth] !== part));
  return (differ < 0 ? parts[0] : parts[0].slice(0, differ)).join("/");
}

/** What the service calls a file, or a part of one, under the reader's own name.
 * @param {Job} job @param {string} source */
export function named(job, source) {
  for (const end of [source.length, source.lastIndexOf("#"), source.indexOf("!"), source.lastIndexOf(" [")]) {
    const own = end > 0 ? job.names.get(source.slice(0, end)) : undefined;
    if (own !== undefined) return own + source.slice(end);
  }
  return source;
}

/** @param {File} file */
async function isDicom(file) {
  const head = new Uint8Array(await file.slice(0, 132).arrayBuffer());
  const magic = String.fromCharCode(...head.slice(128, 132));
  return magic === "DICM" || ([2, 8].includes(head[0]) && head[1] === 0);
}

/** Several DICOM files as one zip, and as small ones for reading. @param {Found[]} dicom @returns {Job} */
function study(dicom) {
  const sorted = [...dicom].sort((x, y) => x.path.localeCompare(y.path, "en", { numeric: true }));
  const folder = folderOf(sorted.map((one) => one.path));
  const title = folder ? `${folder} (${WORDS.dicomFiles(dicom.length)})` : WORDS.dicomFiles(dicom.length);
  const names = new Map([[STUDY, title]]);
  const members = sorted.map((one, index) => {
    const name = `${String(index + 1).padStart(5, "0")}.dcm`;
    names.set(`${STUDY}!${name}`, one.path);
    return { name, file: one.file };
  });
  // From the middle outwards: what is most worth seeing comes first.
  const middle = members.length / 2;
  const outwards = [...members.keys()].sort((x, y) => Math.abs(x + 0.5 - middle) - Math.abs(y + 0.5 - middle));
  const chunks = [() => zipped([members[outwards[0]]])]; // the first picture waits for nothing else
  for (let at = 1; at < outwards.length; at += CHUNK_FILES) {
    const some = outwards.slice(at, at + CHUNK_FILES).sort((x, y) => x - y);
    chunks.push(() => zipped(some.map((index) => members[index])));
  }
  return { title, names, whole: () => zipped(members), chunks, notes: "", errors: [] };
}

/** Files as a zip, deflated (APPNOTE 4.3). @param {{name: string, file: File}[]} members */
async function zipped(members) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, file } of members) {
    const check = crc32(new Uint8Array(await file.arrayBuffer()));
    const packed = await new Response(file.stream().pipeThrough(new CompressionStream("deflate-raw"))).blob();
    const bytes = new TextEncoder().encode(name);
    const local = record(30, 0x04034b50, [[4, 2, 20], [8, 2, DEFLATED], [14, 4, check], [18, 4, packed.size], [22, 4, file.size], [26, 2, bytes.length]]);
    directory.push(
      record(46, 0x02014b50, [[4, 2, 20], [6, 2, 20], [10, 2, DEFLATED], [16, 4, check], [20, 4, packed.size], [24, 4, file.size], [28, 2, bytes.length], [42, 4, offset]]),
      bytes,
    );
    parts.push(local, bytes, packed);
    offset += 30 + bytes.length + packed.size;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = record(22, 0x06054b50, [[8, 2, members.length], [10, 2, members.length], [12, 4, size], [16, 4, offset]]);
  return new File([...parts, ...directory, end], STUDY, { type: "application/zip" });
}

/** @param {number} length @param {number} signature @param {[number, number, number][]} fields at, bytes, value */
function record(length, signature, fields) {
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, signature, true);
  for (const [at, bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  return new Uint8Array(view.buffer);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
