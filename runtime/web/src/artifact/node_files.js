/**
 * An artifact's files in Node: read in place, or downloaded once into a cache folder.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ArtifactError, HubError, InputError, reason, show } from "../errors.js";
import { MANIFEST } from "./contract.js";
import { download, downloadText } from "./download.js";
import { hubUrl, noSource } from "./hub.js";

/** @typedef {import("./files.js").FileToFetch} FileToFetch */
/** @typedef {import("./files.js").Files<import("./files.js").Graph>} Files */

/**
 * @param {string} source A folder, its URL, or a hub id.
 * @param {{revision?: string, hub?: string, cache_dir?: string}} options
 * @returns {Promise<Files>}
 * @throws {InputError}
 */
export async function nodeFiles(source, { revision, hub, cache_dir = join(homedir(), ".cache", "onnxrank") }) {
  if (typeof source !== "string") throw noSource(source);
  const path = source.startsWith("file:") ? pathOf(source) : source;
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    if (revision === undefined) return folder(path);
    throw new InputError(`revision ${show(revision)} is for hub ids, but ${path} is a folder; leave it out.`);
  }
  const remote = /^https?:/.test(source);
  if (remote && !URL.canParse(source)) throw noSource(source);
  const base = remote ? source.replace(/\/?$/, "/") : hubUrl(source, revision, hub);
  return downloaded(remote ? base : source, base, cache_dir);
}

/** @param {string} url */
function pathOf(url) {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new InputError(`${url} names no path here (${reason(error)}); give a folder.`, { cause: error });
  }
}

/**
 * @param {string} path
 * @returns {Files}
 */
function folder(path) {
  /** @param {FileToFetch} file */
  const checked = async (file) => {
    const filePath = join(path, file.name);
    await check(filePath, file);
    return filePath;
  };
  return {
    place: path,
    manifest: () => readFile(join(path, MANIFEST), "utf8").catch(() => null),
    text: async (file) => readFile(await checked(file), "utf8"),
    graph: (files, progress) =>
      graphOf(files, async (file) => {
        const filePath = await checked(file);
        progress(file.name, file.bytes);
        return filePath;
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
  let folder = cacheDir;
  /**
   * @param {FileToFetch} file
   * @param {(file: string, loaded: number) => void} [progress]
   */
  const cached = async (file, progress = () => undefined) => {
    const path = join(folder, file.name);
    if (await holds(path, file)) progress(file.name, file.bytes);
    else {
      const found = await download(new URL(file.name, base).href, file, (loaded) => progress(file.name, loaded));
      await keep(path, found, file);
    }
    return path;
  };
  return {
    place,
    manifest: async () => {
      const text = await downloadText(new URL(MANIFEST, base).href);
      // The manifest names every file's hash, so the folder of one manifest holds one state of the artifact.
      folder = join(cacheDir, createHash("sha256").update(text ?? "").digest("hex").slice(0, 16));
      return text;
    },
    text: async (file) => readFile(await cached(file), "utf8"),
    graph: (files, progress) => graphOf(files, (file) => cached(file, progress)),
  };
}

/**
 * Put a file into the cache folder. It appears in one rename, so that no other load, in this process or another, finds
 * half of it.
 * @param {string} path
 * @param {import("./download.js").Download} download
 * @param {FileToFetch} file
 */
async function keep(path, { bytes, hashed }, file) {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes);
    if (!hashed) await check(temporary, file);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (error instanceof ArtifactError) throw error;
    // Windows replaces no file that is open; another load has then put the same file there.
    if (await holds(path, file)) return;
    throw new HubError(`${path} cannot be written (${reason(error)}); make room, or give another cache_dir.`, { cause: error });
  }
}

/**
 * @param {import("./files.js").GraphFiles} files
 * @param {(file: FileToFetch) => Promise<string>} pathOf
 * @returns {Promise<import("./files.js").Graph>}
 */
async function graphOf({ model, data, requantize, past }, pathOf) {
  const paths = await Promise.all(data.map(pathOf));
  const graph = {
    model: await pathOf(model),
    data: [],
    requantize: requantize && (await pathOf(requantize)),
    past: past && (await readFile(await pathOf(past))),
  };
  // ONNX Runtime finds weights beside a graph and maps them into memory, unless it is handed any weights: then it wants
  // all of them.
  if (!requantize) return graph;
  const weights = paths.map(async (path) => ({ path: basename(path), data: await readFile(path) }));
  return { ...graph, data: await Promise.all(weights) };
}

/**
 * @param {string} path
 * @param {FileToFetch} file
 * @returns {Promise<boolean>} Whether the file is there, and is the one that was exported.
 */
function holds(path, file) {
  return check(path, file).then(() => true, () => false);
}

/**
 * @param {string} path
 * @param {FileToFetch} file
 */
async function check(path, { bytes, sha256 }) {
  const again = "export or download the artifact again.";
  const status = await stat(path).catch(() => undefined);
  if (!status) throw new ArtifactError(`${path} is missing; ${again}`);
  const digest = createHash("sha256");
  if (status.size === bytes) for await (const block of createReadStream(path)) digest.update(block);
  if (status.size !== bytes || digest.digest("hex") !== sha256) {
    throw new ArtifactError(`${path} is not the file that was exported (its hash differs); ${again}`);
  }
}
