/**
 * An artifact's files in a browser: downloaded, checked, and cached under their hash.
 */
import { InputError, show } from "../errors.js";
import { MANIFEST } from "./contract.js";
import { download, downloadText } from "./download.js";
import { hubUrl, noSource } from "./hub.js";

/** @typedef {import("./files.js").FileToFetch} FileToFetch */
/** @typedef {import("./files.js").Graph} Graph */
/** @typedef {FileToFetch & {url: string}} RemoteFile */
/**
 * @typedef {{model: RemoteFile, data: RemoteFile[], requantize: RemoteFile | null,
 *   past: RemoteFile | null}} RemoteGraph
 */

// The name of the Cache Storage.
const CACHE = "onnxrank";
// Bytes that are handed to the cache at once.
const PIECE = 2 ** 20;

/**
 * The files of a folder (a URL, or a path that starts with "./", "../" or "/") or of a hub id (owner/name).
 * @param {string} source
 * @param {{revision?: string, hub?: string}} options
 * @returns {Promise<import("./files.js").Files<RemoteGraph>>}
 * @throws {InputError}
 */
export async function webFiles(source, { revision, hub }) {
  if (typeof source !== "string") throw noSource(source);
  const base = isUrl(source) ? folderUrl(source, revision) : hubUrl(source, revision, hub);
  /** @param {string} name */
  const url = (name) => new URL(name, base).href;
  /** @param {FileToFetch} file */
  const remote = (file) => ({ ...file, url: url(file.name) });
  return {
    place: isUrl(source) ? base : source,
    manifest: () => downloadText(url(MANIFEST)),
    text: async (file) => new TextDecoder().decode(await fetched(remote(file), () => undefined)),
    graph: async ({ model, data, requantize, past }) => ({
      model: remote(model),
      data: data.map(remote),
      requantize: requantize && remote(requantize),
      past: past && remote(past),
    }),
  };
}

/**
 * A graph's bytes. The worker that runs the graph calls this, so that memory holds them once: private windows have no
 * room for a blob of some hundred MB, which a page could hand to a worker.
 * @param {RemoteGraph} graph
 * @param {(file: string, loaded: number) => void} progress
 * @returns {Promise<Graph>}
 */
export async function fetchGraph({ model, data, requantize, past }, progress) {
  /** @param {RemoteFile} file */
  const bytes = (file) => fetched(file, (loaded) => progress(file.name, loaded));
  return {
    model: await bytes(model),
    data: await Promise.all(data.map(async (file) => ({ path: baseName(file.name), data: await bytes(file) }))),
    requantize: requantize && (await bytes(requantize)),
    past: past && (await bytes(past)),
  };
}

/** @param {string} name */
function baseName(name) {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** @param {string} source */
function isUrl(source) {
  return /^(\.{0,2}\/|[a-z][a-z+.-]*:\/\/)/i.test(source);
}

/**
 * @param {string} source
 * @param {string | undefined} revision
 */
function folderUrl(source, revision) {
  if (revision !== undefined) {
    throw new InputError(`revision ${show(revision)} is for hub ids, but ${source} is a folder; leave it out.`);
  }
  const { href, origin } = globalThis.location;
  // The address of a worker that was made from a blob is no base for relative paths.
  const base = href.startsWith("blob:") ? origin : href;
  const folder = source.endsWith("/") ? source : `${source}/`;
  if (!URL.canParse(folder, base)) throw noSource(source);
  return new URL(folder, base).href;
}

/**
 * A file's bytes, from the cache if they are there. The hash under which a file is kept is only what a manifest claims,
 * and manifests of one page's origin may come from anywhere: so bytes enter the cache only after they had that hash.
 * @param {RemoteFile} file
 * @param {(loaded: number) => void} progress
 */
async function fetched(file, progress) {
  // Private windows and insecure pages have no cache, or refuse to open it.
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined);
  const key = new URL(`/.onnxrank/${file.sha256}`, file.url).href;
  // A file that cannot be read from the cache is downloaded again.
  const cached = await cache?.match(key).then((response) => response?.arrayBuffer()).catch(() => undefined);
  if (cached?.byteLength === file.bytes) {
    progress(file.bytes);
    return new Uint8Array(cached);
  }
  const { bytes, hashed } = await download(file.url, file, progress);
  // The model scores without the cache, too: a full disk is no error.
  if (hashed) await cache?.put(key, new Response(streamOf(bytes))).catch(() => undefined);
  return bytes;
}

/**
 * A stream of pieces, because a response that is made from bytes copies all of them.
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
