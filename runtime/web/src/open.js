/**
 * What every scorer does first: open the artifact, choose device and variant, load, and check the scores.
 */
import { ArtifactError, BackendError, InputError, ParityError, reason } from "./errors.js";
import { allowedHere, checkPairs, checkParity, DEVICE_CHECK, readDeviceCheck } from "./check.js";
import { GOLDEN, readGolden } from "./golden.js";
import { MANIFEST, openedWith, readManifest } from "./manifest.js";
import { progressOf } from "./progress.js";
import { chooseVariant, exitOf, file, graphFiles } from "./variant.js";

/** @typedef {import("./download.js").FileToFetch} FileToFetch */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").Setup} Setup */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** A device to try. hide: GPU features that ONNX Runtime must not see. */
/** @typedef {import("./variant.js").Target & {hide: string[]}} Attempt */
/** @typedef {(file: string, loaded: number) => void} Progress */
/**
 * place: what messages call the artifact. graph: what `start` of the same platform takes.
 * @template Graph
 * @typedef {{place: string, manifest: () => Promise<string | null>, text: (file: FileToFetch) => Promise<string>,
 *   graph: (files: import("./variant.js").GraphFiles, progress: Progress) => Promise<Graph>}} Files
 */
/** What an `Engine` offers, wherever it runs. */
/** @typedef {Pick<Engine, "score" | "encode" | "late" | "parity" | "dispose">} RunningEngine */
/**
 * @template Graph
 * @typedef {{files: (source: string, options: OpenOptions) => Promise<Files<Graph>>,
 *   devices: (wanted: string | undefined) => Promise<{attempts: Attempt[], notes: string[]}>,
 *   start: (attempt: Attempt, setup: Setup, graph: Graph, options: OpenOptions, progress: Progress) =>
 *   Promise<RunningEngine>}} Platform
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
 *   max_length?: number, threads?: number, cache_dir?: string,
 *   modules?: {ort: string, tokenizers: string},
 *   progress_callback?: import("./progress.js").ProgressCallback}} OpenOptions
 */
/**
 * What was opened; column: of the golden logits.
 * @typedef {{engine: RunningEngine, manifest: Manifest, check: import("./check.js").DeviceCheck, device: string,
 *   dtype: string, column: number, notes: string[], golden: () => Promise<import("./golden.js").GoldenPair[]>}} Opened
 */

/**
 * @template Graph
 * @param {Platform<Graph>} platform
 * @param {string} source A folder or a hub id.
 * @param {string} opener The class that wants it.
 * @param {OpenOptions} options
 * @returns {Promise<Opened>}
 */
export async function open(platform, source, opener, options) {
  const files = await platform.files(source, options);
  const manifest = await readFrom(files, opener);
  const { attempts, notes } = await platform.devices(options.device);
  const length = maxLength(options.max_length, manifest.scoring.max_length);
  const [tokenizer, check] = await Promise.all([
    files.text(file(manifest, "tokenizer.json")),
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
    const dtype = chooseVariant(manifest, options.dtype, attempt);
    const { exit, column } = exitOf(manifest, options.layers, options.dim);
    const found = graphFiles(manifest, dtype, attempt, options.layers);
    const { device } = attempt;
    const { progress_callback: callback = () => undefined, threads } = options;
    const progress = progressOf(found, device, callback);
    const graph = await files.graph(found, progress);
    const { scoring } = manifest;
    const setup = { scoring, tokenizer, device, threads, max_length: length, packed: found.packed, exit, column };
    const engine = await platform.start(attempt, setup, graph, options, progress);
    const place = exit * (scoring.matryoshka?.dims.length ?? 1) + column;
    try {
      callback({ status: "checking", device });
      const parity = await engine.parity(checkPairs(check, dtype, found.packed));
      checkParity(parity, allowedHere(check, dtype, place), `${dtype} on ${device}`);
    } catch (error) {
      await engine.dispose();
      throw error;
    }
    return { engine, device, dtype, column: place };
  }
}

/**
 * What an artifact holds, read before anything large is: its variants, sizes and prompt.
 * @param {Platform<any>} platform
 * @param {string} source
 * @param {OpenOptions} options
 * @returns {Promise<Manifest>}
 */
export async function manifestOf(platform, source, options) {
  return readFrom(await platform.files(source, options));
}

/**
 * @param {Files<any>} files
 * @param {string} [opener] The class that it has to be for.
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
  if (!Number.isInteger(wanted) || wanted > largest) {
    throw new InputError(`max_length ${wanted} is more than the ${largest} this artifact was exported for; give at most ${largest}.`);
  }
  return wanted;
}

/** @param {Attempt} attempt */
function label({ device, hide }) {
  return hide.length ? `${device} without ${hide.join(", ")}` : device;
}
