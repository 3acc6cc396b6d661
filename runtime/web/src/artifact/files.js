/**
 * An artifact's files: which there are, and in what form a platform hands them to the engine.
 */
import { ArtifactError } from "../errors.js";
import { MANIFEST } from "./contract.js";

/** @typedef {{name: string, bytes: number, sha256: string}} FileToFetch */
/** @typedef {(file: string, loaded: number) => void} Progress Called with how many bytes of a file are loaded. */
/**
 * The files of one graph: its external weights (data), the graph that computes its requantized weights, if any, and the
 * keys and values that it takes (past), if any.
 * @typedef {{model: FileToFetch, data: FileToFetch[], requantize: FileToFetch | null,
 *   past: FileToFetch | null}} GraphFiles
 */
/**
 * The same files as ONNX Runtime takes them: bytes in a browser, paths in Node. In Node, data may be left out, because
 * ONNX Runtime finds external weights beside the graph. The past is bytes everywhere.
 * @typedef {{model: string | Uint8Array, data: {path: string, data: Uint8Array}[],
 *   requantize: string | Uint8Array | null, past: Uint8Array | null}} Graph
 */
/**
 * Reads one artifact. place: what messages call it. graph: gives what `start` of the same platform takes.
 * @template G
 * @typedef {{place: string, manifest: () => Promise<string | null>, text: (file: FileToFetch) => Promise<string>,
 *   graph: (files: GraphFiles, progress: Progress) => Promise<G>}} Files
 */

/**
 * @param {import("./contract.js").Manifest} manifest
 * @param {string} name
 * @returns {FileToFetch}
 * @throws {ArtifactError} If the manifest does not list it.
 */
export function file(manifest, name) {
  const entry = manifest.files[name];
  if (!entry) throw new ArtifactError(`${MANIFEST} does not list ${name}; export the artifact again.`);
  return { name, ...entry };
}
