/**
 * Which of an artifact's variants and graphs a device runs, and whether it fits there.
 */
import { ArtifactError, BackendError, InputError, show } from "../errors.js";
import { PRECISIONS, PREFERRED } from "./contract.js";
import { file } from "./files.js";

/** @typedef {import("./contract.js").Manifest} Manifest */
/** @typedef {import("./contract.js").Variant} Variant */
/** @typedef {import("./files.js").FileToFetch} FileToFetch */
/**
 * What a variant is chosen for. float16: whether the device computes in float16. browser: whether it is in a browser.
 * @typedef {{device: import("./contract.js").Device, float16: boolean, browser: boolean}} Target
 */

// Bytes; the largest ArrayBuffer, and the largest .onnx file.
const LARGEST_FILE = 2 ** 31 - 1;
// Bytes; WASM addresses 4 GiB, of which activations and rearranged weights take the rest.
const LARGEST_IN_WASM = 2.5 * 2 ** 30;
// Memory for a model that is requantized at load, as a multiple of its files: those, and the int8 weights twice.
const REQUANTIZED_MEMORY = 5;

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
    const name = typeof dtype === "string" ? variantCalled(dtype) : show(dtype);
    const names = Object.keys(manifest.variants);
    if (!names.includes(name)) {
      throw new ArtifactError(
        `${manifest.name} has no dtype ${show(dtype)}, only ${names.join(", ")}; name one of these, or export it with ` +
          `\`export-model ... --variant ${name}\`.`,
      );
    }
    const problem = obstacle(manifest, name, target);
    if (problem) throw new BackendError(problem);
    return name;
  }
  const present = PREFERRED[target.device].filter((name) => name in manifest.variants);
  const problems = present.map((name) => obstacle(manifest, name, target));
  const usable = present.find((_, i) => problems[i] === undefined);
  if (usable === undefined) {
    throw new BackendError(problems[0] ?? `${manifest.name} has no variant that this onnxrank knows; upgrade onnxrank.`);
  }
  return usable;
}

/**
 * @param {Variant} variant
 * @param {Manifest} manifest
 * @param {Target} target
 * @returns {"padded" | "prefix"} The graph that is faster on the device and fits there.
 */
export function chooseGraph(variant, manifest, { device, browser }) {
  // GPUs are fastest with many whole prompts in one run.
  if (variant.prefix === null || device === "webgpu") return "padded";
  if (variant.requantize === null || !browser) return "prefix";
  const bytes = weightsOf(variant).reduce((sum, path) => sum + file(manifest, path).bytes, 0);
  return bytes * REQUANTIZED_MEMORY < LARGEST_IN_WASM ? "prefix" : "padded";
}

/**
 * @param {Manifest} manifest
 * @param {Variant} variant
 * @param {"padded" | "prefix"} graph
 * @param {number | undefined} layers The exit of a padded graph; the deepest by default.
 * @returns {import("./files.js").GraphFiles}
 */
export function graphFiles(manifest, variant, graph, layers) {
  const data = weightsOf(variant).map((path) => file(manifest, path));
  if (graph === "prefix" && variant.prefix !== null) {
    const requantize = variant.requantize === null ? null : file(manifest, variant.requantize);
    const past = variant.past && file(manifest, variant.past.file);
    return { model: file(manifest, variant.prefix), data, requantize, past };
  }
  const path = (layers !== undefined && variant.exits[layers]) || variant.padded;
  return { model: file(manifest, path), data, requantize: null, past: null };
}

/**
 * The index of the matryoshka exit that `layers` names, and the column of its logits that `dim` names.
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
 * @param {string} dtype A variant's name, or Transformers.js's name for it.
 */
function variantCalled(dtype) {
  const entry = Object.entries(PRECISIONS).find(([, precision]) => precision.dtype === dtype);
  return entry ? entry[0] : dtype;
}

/** @param {string} variant */
function computesInFloat16(variant) {
  return Object.entries(PRECISIONS).some(([name, precision]) => name === variant && precision.float16);
}

/** @param {Variant} variant */
function weightsOf(variant) {
  return variant.files.filter((path) => path.startsWith(`${variant.padded}_data`));
}

/**
 * Why a device cannot use a variant.
 * @param {Manifest} manifest
 * @param {string} name
 * @param {Target} target
 * @returns {string | undefined}
 */
function obstacle(manifest, name, { device, float16, browser }) {
  if (device === "webgpu" && computesInFloat16(name) && !float16) {
    return `this GPU does not compute in float16 (no shader-f16), which ${name} needs; take q4 or fp32.`;
  }
  if (!browser) return undefined;
  const variant = manifest.variants[name];
  const sizes = [variant.padded, ...weightsOf(variant)].map((path) => file(manifest, path).bytes);
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
    throw new InputError(`${name} is ${show(value)}, and this model has one exit and one width; leave it out.`);
  }
  const index = choices.indexOf(value);
  if (index < 0) {
    throw new InputError(`${name} is ${show(value)}, and this artifact has ${choices.join(", ")}; give one of these.`);
  }
  return index;
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`;
}
