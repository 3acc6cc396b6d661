/**
 * Which of an artifact's variants a device gets, and whether it fits there.
 */
import { ArtifactError, BackendError, InputError } from "./errors.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./manifest.js").Variant} Variant */
/** @typedef {import("./download.js").FileToFetch} FileToFetch */
/** @typedef {{device: import("./session.js").Device, half: boolean, limited: boolean}} Target half: computes in
 *   float16. limited: in a browser. */

/**
 * packed: it reads documents behind a prefix that they share. unpack: the graph that computes its weights, if any.
 * @typedef {{model: FileToFetch, data: FileToFetch[], unpack: FileToFetch | null, packed: boolean}} GraphFiles
 */

// Transformers.js's name for our int8.
/** @type {Record<string, string>} */
const ALIASES = { q8: "int8" };
// Best first. WebGPU has no kernel for int8 products, and most CPU kernels none for float16.
const PREFERRED = {
  webgpu: ["q4f16", "q4", "fp16", "fp32", "int8"],
  wasm: ["int8", "q4", "fp32", "q4f16", "fp16"],
  cpu: ["int8", "q4", "fp32", "q4f16", "fp16"],
};
// ArrayBuffers and .onnx files end there.
const LARGEST_FILE = 2 ** 31 - 1;
// WASM addresses 4 GiB, and activations and rearranged weights need their share.
const LARGEST_IN_WASM = 2.5 * 2 ** 30;
// What a 4-bit model takes that is unpacked, in multiples of its files: those, and the 8-bit weights twice.
const UNPACKED_SHARE = 5;

/**
 * @param {Manifest} manifest
 * @param {string | undefined} dtype
 * @param {Target} target
 * @returns {string} The variant's name.
 * @throws {ArtifactError} If it was not exported.
 * @throws {BackendError} If the device cannot compute or hold it.
 */
export function chooseVariant(manifest, dtype, target) {
  if (dtype !== undefined) {
    const name = ALIASES[dtype] ?? dtype;
    const names = Object.keys(manifest.variants);
    if (!names.includes(name)) {
      throw new ArtifactError(
        `${manifest.name} has no dtype "${dtype}", only ${names.join(", ")}; name one of these, or export it with ` +
          `\`export-model ... --${name}\`.`,
      );
    }
    const problem = obstacle(manifest, name, target);
    if (problem) throw new BackendError(problem);
    return name;
  }
  const present = PREFERRED[target.device].filter((name) => name in manifest.variants);
  const problems = present.map((name) => obstacle(manifest, name, target));
  const usable = present.find((_, i) => problems[i] === undefined);
  if (usable === undefined) throw new BackendError(problems[0] ?? `${manifest.name} has no variant; export one.`);
  return usable;
}

/**
 * The files of the graph that a device runs: of the exit asked for, and packed where that is faster.
 * @param {Manifest} manifest
 * @param {string} name The variant.
 * @param {Target} target
 * @param {number | undefined} layers
 * @returns {GraphFiles}
 */
export function graphFiles(manifest, name, target, layers) {
  const variant = manifest.variants[name];
  const data = weights(variant).map((path) => file(manifest, path));
  if (variant.packed !== null && packs(variant, data, target)) {
    const unpack = variant.unpack === null ? null : file(manifest, variant.unpack);
    return { model: file(manifest, variant.packed), data, unpack, packed: true };
  }
  const path = (layers !== undefined && variant.exits[layers]) || variant.portable;
  return { model: file(manifest, path), data, unpack: null, packed: false };
}

/**
 * Which of the matryoshka exits is asked for, and which column of its logits the width is.
 * @param {Manifest} manifest
 * @param {number | undefined} layers
 * @param {number | undefined} dim
 * @returns {{exit: number, column: number}}
 * @throws {InputError} For an exit or width that the artifact does not have.
 */
export function exitOf({ scoring: { matryoshka } }, layers, dim) {
  return { exit: choice("layers", layers, matryoshka?.layers), column: choice("dim", dim, matryoshka?.dims) };
}

/**
 * @param {Manifest} manifest
 * @param {string} name
 * @returns {FileToFetch}
 */
export function file(manifest, name) {
  const entry = manifest.files[name];
  if (!entry) throw new ArtifactError(`reranker.json does not list ${name}; export the artifact again.`);
  return { name, ...entry };
}

/**
 * @param {Variant} variant
 * @param {FileToFetch[]} data
 * @param {Target} target
 */
function packs({ unpack }, data, { device, limited }) {
  // GPUs are at their best with many whole prompts at once.
  if (device === "webgpu") return false;
  const bytes = data.reduce((sum, file) => sum + file.bytes, 0);
  return unpack === null || !limited || bytes * UNPACKED_SHARE < LARGEST_IN_WASM;
}

/** @param {Variant} variant */
function weights(variant) {
  return variant.files.filter((path) => !path.endsWith(".onnx"));
}

/**
 * Why a device cannot use a variant.
 * @param {Manifest} manifest
 * @param {string} name
 * @param {Target} target
 * @returns {string | undefined}
 */
function obstacle(manifest, name, { device, half, limited }) {
  const variant = manifest.variants[name];
  if (device === "webgpu" && ["fp16", "q4f16"].includes(name) && !half) {
    return `this GPU does not compute in float16 (no shader-f16), which ${name} needs; take q4 or fp32.`;
  }
  if (!limited) return undefined;
  const sizes = [variant.portable, ...weights(variant)].map((path) => file(manifest, path).bytes);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (Math.max(...sizes) > LARGEST_FILE || (device === "wasm" && total > LARGEST_IN_WASM)) {
    const limit = device === "wasm" ? LARGEST_IN_WASM : LARGEST_FILE;
    return (
      `${manifest.name} in ${name} takes ${megabytes(total)}, and ${device} in a browser holds about ` +
      `${megabytes(limit)}; take a smaller dtype of ${Object.keys(manifest.variants).join(", ")}, or score it on a server.`
    );
  }
  return undefined;
}

/**
 * @param {string} name
 * @param {number | undefined} value
 * @param {number[] | undefined} choices
 */
function choice(name, value, choices) {
  if (value === undefined) return 0;
  if (choices === undefined) {
    throw new InputError(`${name} is ${value}, and this model has one exit and one width; leave it out.`);
  }
  const index = choices.indexOf(value);
  if (index < 0) {
    throw new InputError(`${name} is ${value}, and this artifact has ${choices.join(", ")}; give one of these.`);
  }
  return index;
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
