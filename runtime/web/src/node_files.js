/**
 * An artifact's files in Node: read where they are, or downloaded into a folder once.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { download, downloadText } from "./download.js";
import { ArtifactError, InputError } from "./errors.js";
import { hubUrl } from "./hub.js";

/** @typedef {import("./download.js").FileToFetch} FileToFetch */
/** @typedef {import("./open.js").Files<import("./session.js").Graph>} Files */

/**
 * @param {string} source A folder, its URL, or a hub id.
 * @param {{revision?: string, hub?: string, cache_dir?: string}} options
 * @returns {Promise<Files>}
 * @throws {InputError}
 */
export async function nodeFiles(source, { revision, hub, cache_dir = join(homedir(), ".cache", "onnxrank") }) {
  const path = source.startsWith("file:") ? fileURLToPath(source) : source;
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    if (revision === undefined) return folder(path);
    throw new InputError(`revision "${revision}" is for hub ids, but ${path} is a folder; leave it out.`);
  }
  const remote = /^https?:/.test(source);
  const base = remote ? source.replace(/\/?$/, "/") : hubUrl(source, revision, hub);
  return downloaded(remote ? base : source, base, cache_dir);
}

/**
 * @param {string} path
 * @returns {Files}
 */
function folder(path) {
  /** @param {FileToFetch} file */
  const checked = async (file) => {
    const place = join(path, file.name);
    await check(place, file);
    return place;
  };
  return {
    place: path,
    manifest: () => readFile(join(path, "reranker.json"), "utf8").catch(() => null),
    text: async (file) => readFile(await checked(file), "utf8"),
    graph: (files, progress) =>
      graphOf(files, async (file) => {
        const place = await checked(file);
        progress(file.name, file.bytes);
        return place;
      }),
  };
}

/**
 * @param {string} place
 * @param {string} base
 * @param {string} cacheDir
 * @returns {Files}
 */
function downloaded(place, base, cacheDir) {
  let at = cacheDir;
  /**
   * @param {FileToFetch} file
   * @param {(file: string, loaded: number) => void} [progress]
   */
  const kept = async (file, progress = () => undefined) => {
    const path = join(at, file.name);
    if (await check(path, file).then(() => true, () => false)) progress(file.name, file.bytes);
    else {
      await mkdir(dirname(path), { recursive: true });
      const bytes = await download(new URL(file.name, base).href, file, (loaded) => progress(file.name, loaded));
      // In one rename: another process never finds half a file.
      await writeFile(`${path}.${process.pid}`, bytes);
      await rename(`${path}.${process.pid}`, path);
    }
    return path;
  };
  return {
    place,
    manifest: async () => {
      const text = await downloadText(new URL("reranker.json", base).href);
      // The manifest names every file's hash, so a folder of its own holds one state of the artifact.
      at = join(cacheDir, createHash("sha256").update(text ?? "").digest("hex").slice(0, 16));
      return text;
    },
    text: async (file) => readFile(await kept(file), "utf8"),
    graph: (files, progress) => graphOf(files, (file) => kept(file, progress)),
  };
}

/**
 * @param {import("./variant.js").GraphFiles} files
 * @param {(file: FileToFetch) => Promise<string>} place
 * @returns {Promise<import("./session.js").Graph>}
 */
async function graphOf({ model, data, unpack }, place) {
  const places = await Promise.all(data.map(place));
  const graph = { model: await place(model), data: [], unpack: unpack && (await place(unpack)) };
  // ONNX Runtime finds weights beside a graph and maps them into memory, unless it is handed any.
  if (!unpack) return graph;
  const weights = places.map(async (path) => ({ path: basename(path), data: await readFile(path) }));
  return { ...graph, data: await Promise.all(weights) };
}

/**
 * @param {string} path
 * @param {FileToFetch} file
 */
async function check(path, { bytes, sha256 }) {
  const again = "export or download the artifact again.";
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new ArtifactError(`${path} is missing; ${again}`);
  const digest = createHash("sha256");
  if (found.size === bytes) for await (const block of createReadStream(path)) digest.update(block);
  if (found.size !== bytes || digest.digest("hex") !== sha256) {
    throw new ArtifactError(`${path} is not the file that was exported (its hash differs); ${again}`);
  }
}
