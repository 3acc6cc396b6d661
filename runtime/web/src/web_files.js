/**
 * An artifact's files in a browser: fetched, checked, and kept in the browser's cache by their hash.
 */
import { download, downloadText } from "./download.js";
import { InputError } from "./errors.js";
import { hubUrl } from "./hub.js";

/** @typedef {import("./download.js").FileToFetch} FileToFetch */
/** @typedef {import("./open.js").Files} Files */

export const CACHE = "onnxrank";

/**
 * The files of a folder (a URL, or a path that starts with "./", "../" or "/") or of a hub id (owner/name).
 * @param {string} source
 * @param {{revision?: string, hub?: string}} options
 * @returns {Promise<Files>}
 * @throws {InputError}
 */
export async function webFiles(source, { revision, hub }) {
  const base = isUrl(source) ? folderUrl(source, revision) : hubUrl(source, revision, hub);
  /** @type {Map<string, Promise<Blob>>} */
  const held = new Map();
  /** @param {string} name */
  const url = (name) => new URL(name, base).href;
  return {
    place: isUrl(source) ? base : source,
    manifest: () => downloadText(url("reranker.json")),
    text: async (file) => (await fetched(url(file.name), file, () => undefined)).text(),
    graph: async (model, data, progress) => {
      // Kept until the device works: the next attempt may need the same files.
      const blobs = [model, ...data].map((file) => {
        const found = held.get(file.name) ?? fetched(url(file.name), file, (loaded) => progress(file.name, loaded));
        held.set(file.name, found);
        found.catch(() => held.delete(file.name));
        return found;
      });
      const [graph, ...weights] = await Promise.all(blobs);
      return { model: graph, data: weights.map((blob, i) => ({ path: baseName(data[i].name), data: blob })) };
    },
    release: () => held.clear(),
  };
}

/** @param {string} name */
export function baseName(name) {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** @param {string} source */
function isUrl(source) {
  return /^(\.{0,2}\/|[a-z][a-z+.-]*:)/i.test(source);
}

/**
 * @param {string} source
 * @param {string | undefined} revision
 */
function folderUrl(source, revision) {
  if (revision !== undefined) {
    throw new InputError(`revision "${revision}" is for hub ids, but ${source} is a folder; leave it out.`);
  }
  const { href, origin } = globalThis.location;
  // A worker that was made of a blob has an address that nothing is relative to.
  return new URL(source.endsWith("/") ? source : `${source}/`, href.startsWith("blob:") ? origin : href).href;
}

/**
 * @param {string} url
 * @param {FileToFetch} file
 * @param {(loaded: number) => void} progress
 * @returns {Promise<Blob>}
 */
async function fetched(url, file, progress) {
  // Private windows and insecure pages have no cache, or refuse it.
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined);
  const key = new URL(`/.onnxrank/${file.sha256}`, url).href;
  const known = await cache?.match(key);
  if (known) {
    const blob = await known.blob();
    progress(file.bytes);
    return blob;
  }
  const blob = new Blob([await download(url, file, progress)]);
  // A full disk is no reason not to score.
  await cache?.put(key, new Response(blob)).catch(() => undefined);
  return blob;
}
