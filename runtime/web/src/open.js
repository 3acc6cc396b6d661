/**
 * What happens before a model scores: open the artifact, choose a device and a variant, load, and check the scores.
 */
import { DEVICE_CHECK, GOLDEN, MANIFEST, TOKENIZER } from "./artifact/contract.js";
import { pairsToCheck, readDeviceCheck } from "./artifact/device_check.js";
import { file } from "./artifact/files.js";
import { readGolden } from "./artifact/golden.js";
import { openedWith, readManifest } from "./artifact/manifest.js";
import { chooseGraph, chooseVariant, exitOf, graphFiles } from "./artifact/variants.js";
import { label } from "./engine/device.js";
import { ArtifactError, BackendError, InputError, ParityError, reason, show } from "./errors.js";
import { progressOf } from "./progress.js";
import { allowedFromCheck } from "./proof/tolerances.js";
import { checkParity, verify } from "./proof/verification.js";
import { checkOptions } from "./ranking.js";

/** @typedef {import("./artifact/contract.js").Manifest} Manifest */
/** @typedef {import("./artifact/files.js").Progress} Progress */
/** @typedef {import("./engine/device.js").Attempt} Attempt */
/** @typedef {import("./engine/engine.js").RunningEngine} RunningEngine */
/**
 * What differs between Node and browsers. G: the form in which a graph's files are handed from `files` to `start`.
 * @template G
 * @typedef {{files: (source: string, options: OpenOptions) => Promise<import("./artifact/files.js").Files<G>>,
 *   devices: (wanted: string | undefined) => Promise<import("./engine/device.js").Plan>,
 *   start: (attempt: Attempt, setup: import("./engine/engine.js").Setup, graph: G,
 *   modules: OpenOptions["modules"], progress: Progress) => Promise<RunningEngine>}} Platform
 */
/**
 * device: "webgpu", "wasm" (browsers) or "cpu" (Node); the best that works by default.
 * dtype: fp32, fp16, int8 (or q8), q4 or q4f16; the best for the device by default.
 * revision: branch, tag or commit of a hub id. hub: address of the hub.
 * layers, dim: exit and width of a matryoshka model; the deepest and widest by default.
 * max_length: tokens of prompt and pair together; at most, and by default, the artifact's.
 * threads: of the processor; ONNX Runtime's choice by default.
 * cache_dir: where Node keeps what it downloads. modules: addresses of the libraries, for workers without a bundler.
 * @typedef {{device?: string, dtype?: string, revision?: string, hub?: string, layers?: number, dim?: number,
 *   max_length?: number, threads?: number, cache_dir?: string, modules?: import("./engine/worker.js").Modules,
 *   progress_callback?: import("./progress.js").ProgressCallback}} OpenOptions
 */
/**
 * column: of the golden logits. golden: reads the golden pairs.
 * @typedef {{engine: RunningEngine, manifest: Manifest, check: import("./artifact/contract.js").DeviceCheck,
 *   device: string, dtype: string, column: number, notes: string[],
 *   golden: () => Promise<import("./artifact/contract.js").GoldenPair[]>}} Opened
 */

/**
 * @template G
 * @param {Platform<G>} platform
 * @param {string | URL} source A folder or a hub id.
 * @param {string} opener The class that opens it.
 * @param {OpenOptions} options
 * @returns {Promise<Opened>}
 */
export async function open(platform, source, opener, options) {
  checkOptions(options);
  const { progress_callback: callback = () => undefined, threads, modules } = options;
  if (typeof callback !== "function") {
    throw new InputError(`progress_callback is ${show(callback)}; give a function, or leave it out.`);
  }
  const files = await filesOf(platform, source, options);
  const manifest = await readFrom(files, opener);
  const { scoring } = manifest;
  const { attempts, notes } = await platform.devices(options.device);
  const max_length = maxLength(options.max_length, scoring.max_length);
  const [tokenizer, check] = await Promise.all([
    files.text(file(manifest, TOKENIZER)),
    files.text(file(manifest, DEVICE_CHECK)).then(readDeviceCheck),
  ]);
  /** @type {unknown} */
  let problem;
  for (const attempt of attempts) {
    try {
      const opened = await load(attempt);
      return { ...opened, manifest, check, notes, golden: () => files.text(file(manifest, GOLDEN)).then(readGolden) };
    } catch (error) {
      if (!(error instanceof BackendError || error instanceof ParityError)) throw error;
      notes.push(`${label(attempt)} is not used: ${reason(error)}`);
      problem = error;
    }
  }
  if (attempts.length === 1) throw problem;
  throw new BackendError(`no device scores this model: ${notes.join(" ")}`, { cause: problem });

  /** @param {Attempt} attempt */
  async function load(attempt) {
    const { device } = attempt;
    const dtype = chooseVariant(manifest, options.dtype, attempt);
    const variant = manifest.variants[dtype];
    const { exit, column } = exitOf(manifest, options.layers, options.dim);
    const graph = chooseGraph(variant, manifest, attempt);
    const wanted = graphFiles(manifest, variant, graph, options.layers);
    const progress = progressOf(wanted, device, callback);
    const setup = { scoring, past: variant.past, tokenizer, device, threads, max_length, graph, column };
    const engine = await platform.start(attempt, setup, await files.graph(wanted, progress), modules, progress);
    const goldenColumn = exit * (scoring.matryoshka?.dims.length ?? 1) + column;
    try {
      callback({ status: "checking", device });
      const parity = await verify(engine, scoring, pairsToCheck(check, dtype, graph), goldenColumn);
      checkParity(parity, allowedFromCheck(check, dtype, goldenColumn), `${dtype} on ${device}`);
    } catch (error) {
      await engine.dispose();
      throw error;
    }
    return { engine, device, dtype, column: goldenColumn };
  }
}

/**
 * The manifest of an artifact; no other file is read.
 * @param {Platform<any>} platform
 * @param {string | URL} source
 * @param {OpenOptions} options
 * @returns {Promise<Manifest>}
 */
export async function manifestOf(platform, source, options) {
  checkOptions(options);
  return readFrom(await filesOf(platform, source, options));
}

/**
 * @template G
 * @param {Platform<G>} platform
 * @param {string | URL} source
 * @param {OpenOptions} options
 */
function filesOf(platform, source, options) {
  return platform.files(source instanceof URL ? source.href : source, options);
}

/**
 * @param {import("./artifact/files.js").Files<any>} files
 * @param {string} [opener] The class that the artifact must be for; any by default.
 */
async function readFrom(files, opener) {
  const text = await files.manifest();
  if (text === null) {
    throw new ArtifactError(
      `${files.place} has no ${MANIFEST}: it is not an exported artifact; make one with \`export-model\`.`,
    );
  }
  const manifest = readManifest(text, `${files.place}: ${MANIFEST}`);
  const fitting = openedWith(manifest.scoring);
  if (opener === undefined || fitting === opener) return manifest;
  const remedy = fitting === "Embedder" ? "embed with it in Python" : `open it with ${fitting}`;
  throw new ArtifactError(`${files.place} is no model for ${opener}; ${remedy}.`);
}

/**
 * @param {number | undefined} wanted
 * @param {number} largest
 */
function maxLength(wanted, largest) {
  if (wanted === undefined) return largest;
  if (!Number.isInteger(wanted)) {
    throw new InputError(`max_length is ${show(wanted)}; give a whole number of at most ${largest}, or leave it out.`);
  }
  if (wanted > largest) {
    throw new InputError(
      `max_length ${wanted} is more than the ${largest} this artifact was exported for; give at most ${largest}, or ` +
        `export it with \`--max-length ${wanted}\`.`,
    );
  }
  return wanted;
}
