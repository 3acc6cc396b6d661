/**
 * One graph on one device. Its runs wait for each other, because ONNX Runtime Web runs one at a time.
 */
import { LOCATION } from "../artifact/contract.js";
import { BackendError, disposedError, reason } from "../errors.js";
import { free, requantized } from "./requantized.js";

/** @typedef {typeof import("onnxruntime-common")} Ort */
/** @typedef {import("onnxruntime-common").Tensor} Tensor */
/** @typedef {import("../artifact/contract.js").Device} Device */
/** @typedef {import("../artifact/files.js").Graph} Graph */
/** @typedef {import("onnxruntime-common").InferenceSession.SessionOptions} SessionOptions */
/**
 * What goes into a graph, and what comes out.
 * @typedef {{data: BigInt64Array | Float32Array | Uint16Array, dims: readonly number[]}} Feed
 * @typedef {{data: Float32Array, dims: readonly number[]}} Output
 */

// Processors of x86 without VNNI add pairs of byte products in 16 bits, which overflow; this setting takes their exact
// kernels. Elsewhere it changes nothing.
const EXACT_BYTE_PRODUCTS = { session: { x64quantprecision: "1" } };
// How engines and browsers say that memory is full.
const MEMORY = /\bmemory\b|bad_alloc|allocation failed|OOM/i;

export class Session {
  #ort;
  #session;
  #device;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  #disposed = false;

  /**
   * @param {Ort} ort
   * @param {import("onnxruntime-common").InferenceSession} session
   * @param {Device} device
   */
  constructor(ort, session, device) {
    this.#ort = ort;
    this.#session = session;
    this.#device = device;
  }

  /**
   * @param {Ort} ort
   * @param {Graph} graph The buffers of its weights cannot be used afterwards.
   * @param {Device} device
   * @param {number | undefined} threads
   * @returns {Promise<Session>}
   * @throws {BackendError} If ONNX Runtime cannot load the graph on the device.
   */
  static async create(ort, graph, device, threads) {
    if (threads !== undefined && ort.env.wasm) ort.env.wasm.numThreads = threads;
    /** @type {SessionOptions} */
    const options = { executionProviders: [device], logSeverityLevel: 3 };
    if (device === "cpu") options.extra = EXACT_BYTE_PRODUCTS;
    if (threads !== undefined) options.intraOpNumThreads = threads;
    try {
      const { model, data, requantize } = graph;
      const weights = [...data];
      if (requantize !== null) {
        // The graph consists of constants: an optimizer would compute them all in one thread, and keep them.
        const unoptimized = /** @type {const} */ ({ ...options, graphOptimizationLevel: "disabled" });
        weights.push({ path: LOCATION, data: await requantized(await load(ort, requantize, data, unoptimized)) });
      }
      const session = await load(ort, model, weights, options);
      // ONNX Runtime has copied them.
      for (const file of weights) free(file.data);
      return new Session(ort, session, device);
    } catch (error) {
      throw failure(`ONNX Runtime cannot load the graph on ${device}`, error);
    }
  }

  /** The graph's inputs. */
  get inputs() {
    return this.#session.inputMetadata;
  }

  /**
   * @param {string[]} outputs
   * @param {Record<string, Feed>} feeds
   * @returns {Promise<Output[]>} In the order of `outputs`.
   * @throws {BackendError} If the device fails.
   * @throws {import("../errors.js").RerankError} If the session is disposed of before.
   */
  async run(outputs, feeds) {
    const turn = this.#last.then(() => this.#run(outputs, feeds));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Free the device's memory once the run that is under way is done; those behind it fail. */
  async dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#last;
    await this.#session.release();
  }

  /**
   * @param {string[]} outputs
   * @param {Record<string, Feed>} feeds
   */
  async #run(outputs, feeds) {
    if (this.#disposed) throw disposedError();
    try {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, this.#tensor(feed)]);
      const results = await this.#session.run(Object.fromEntries(tensors), outputs);
      return await Promise.all(outputs.map((name) => valuesOf(results[name])));
    } catch (error) {
      throw failure(`${this.#device} failed on ${feeds.input_ids.dims.join(" rows of ")} tokens`, error);
    }
  }

  /** @param {Feed} feed */
  #tensor({ data, dims }) {
    if (data instanceof Float32Array) return new this.#ort.Tensor("float32", data, dims);
    return data instanceof Uint16Array
      ? new this.#ort.Tensor("float16", data, dims)
      : new this.#ort.Tensor("int64", data, dims);
  }
}

/**
 * @param {Ort} ort
 * @param {string | Uint8Array} model
 * @param {Graph["data"]} data
 * @param {SessionOptions} options
 */
function load(ort, model, data, options) {
  // TypeScript has the two forms of this call, with a path and with bytes, as overloads.
  return ort.InferenceSession.create(/** @type {string} */ (model), {
    ...options,
    ...(data.length ? { externalData: data } : {}),
  });
}

/**
 * A tensor's values; the tensor is disposed of.
 * @param {Tensor} tensor
 * @returns {Promise<Output>}
 */
async function valuesOf(tensor) {
  const data = /** @type {Float32Array} */ (await tensor.getData());
  tensor.dispose();
  return { data, dims: tensor.dims };
}

/**
 * @param {string} what
 * @param {unknown} error
 */
function failure(what, error) {
  const why = reason(error);
  const remedy = MEMORY.test(why)
    ? "it ran out of memory: take a smaller dtype or batch_tokens"
    : "take another device or dtype";
  return new BackendError(`${what} (${why}); ${remedy}.`, { cause: error });
}
