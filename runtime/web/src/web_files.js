/**
 * An artifact's files in a browser: fetched, checked, and kept in the browser's cache by their hash.
 */
import { download, downloadText } from "./download.js";
import { InputError } from "./errors.js";
import { hubUrl } from "./hub.js";

/** @typedef {import("./download.js").FileToFetch} FileToFetch */
/** @typedef {import("./session.js").Graph} Graph */
/** @typedef {FileToFetch & {url: string}} RemoteFile */
/** @typedef {{model: RemoteFile, data: RemoteFile[], unpack: RemoteFile | null}} RemoteGraph */

export const CACHE = "onnxrank";
const PIECE = 2 ** 20;

/**
 * The files of a folder (a URL, or a path that starts with "./", "../" or "/") or of a hub id (owner/name).
 * @param {string} source
 * @param {{revision?: string, hub?: string}} options
 * @returns {Promise<import("./open.js").Files<RemoteGraph>>}
 * @throws {InputError}
 */
export async function webFiles(source, { revision, hub }) {
  const base = isUrl(source) ? folderUrl(source, revision) : hubUrl(source, revision, hub);
  /** @param {string} name */
  const url = (name) => new URL(name, base).href;
  /** @param {FileToFetch} file */
  const remote = (file) => ({ ...file, url: url(file.name) });
  return {
    place: isUrl(source) ? base : source,
    manifest: () => downloadText(url("reranker.json")),
    text: async (file) => new TextDecoder().decode(await fetched(remote(file), () => undefined)),
    graph: async ({ model, data, unpack }) => ({
      model: remote(model),
      data: data.map(remote),
      unpack: unpack && remote(unpack),
    }),
  };
}

/**
 * A graph's bytes. Asked for where its device is, so that they are in no second place: a blob of some hundred MB, which
 * a page could hand to a worker, has no room in private windows.
 * @param {RemoteGraph} graph
 * @param {(file: string, loaded: number) => void} progress
 * @returns {Promise<Graph>}
 */
export async function fetchGraph({ model, data, unpack }, progress) {
  /** @param {RemoteFile} file */
  const bytes = (file) => fetched(file, (loaded) => progress(file.name, loaded));
  return {
    model: await bytes(model),
    data: await Promise.all(data.map(async (file) => ({ path: baseName(file.name), data: await bytes(file) }))),
    unpack: unpack && (await bytes(unpack)),
  };
}

/** @param {string} name */
function baseName(name) {
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
 * @param {RemoteFile} file
 * @param {(loaded: number) => void} progress
 */
async function fetched(file, progress) {
  // Private windows and insecure pages have no cache, or refuse it.
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined);
  const key = new URL(`/.onnxrank/${file.sha256}`, file.url).href;
  const known = await cache?.match(key);
  if (known) {
    const bytes = new Uint8Array(await known.arrayBuffer());
    progress(file.bytes);
    return bytes;
  }
  const bytes = await download(file.url, file, progress);
  // A full disk is no reason not to score.
  await cache?.put(key, new Response(streamOf(bytes))).catch(() => undefined);
  return bytes;
}

/**
 * Piece by piece: a response that is made of bytes copies them all.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function streamOf(bytes) {
  let sent = 0;
  return new ReadableStream({
    pull(controller) {
      if (sent === bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(sent, (sent = Math.min(sent + PIECE, bytes.length))));
    },
  });
}
