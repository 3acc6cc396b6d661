/**
 * One graph on one device. Runs wait for each other: ONNX Runtime Web runs one at a time.
 */
import { BackendError, reason } from "./errors.js";

/** @typedef {typeof import("onnxruntime-common")} Ort */
/** @typedef {import("onnxruntime-common").Tensor} Tensor */
/** @typedef {"webgpu" | "wasm" | "cpu"} Device */
/**
 * A graph, the external weights it names, and the graph that computes others of its weights, if any: bytes in a browser,
 * paths in Node, where weights may be left out, as ONNX Runtime finds them beside the graph.
 * @typedef {{model: string | Uint8Array, data: {path: string, data: Uint8Array}[],
 *   unpack: string | Uint8Array | null}} Graph
 */
/**
 * What goes into a graph, and what comes out.
 * @typedef {{data: BigInt64Array | Float32Array | Uint16Array, dims: readonly number[]}} Feed
 * @typedef {{data: Float32Array, dims: readonly number[]}} Output
 */

// Where a graph says that the weights are which its unpack graph computes, one after the other at multiples of so many
// bytes: as quantize/unpacked.py writes it.
const UNPACKED = "unpacked_when_loaded";
const ALIGNED = 64;
const MEMORY = /\bmemory\b|bad_alloc|allocation failed|OOM/i;

export class Session {
  #ort;
  #session;
  #device;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

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
   * @param {Graph} graph Its bytes of weights are gone afterwards.
   * @param {Device} device
   * @param {number | undefined} threads
   * @returns {Promise<Session>}
   * @throws {BackendError} If ONNX Runtime cannot load the graph on the device.
   */
  static async create(ort, graph, device, threads) {
    if (threads !== undefined && ort.env.wasm) ort.env.wasm.numThreads = threads;
    /** @type {import("onnxruntime-common").InferenceSession.SessionOptions} */
    const options = { executionProviders: [device], logSeverityLevel: 3 };
    if (threads !== undefined) options.intraOpNumThreads = threads;
    try {
      const { model, data, unpack } = graph;
      const weights = [...data];
      if (unpack !== null) weights.push({ path: UNPACKED, data: await unpacked(ort, unpack, data, options) });
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
   */
  async run(outputs, feeds) {
    const turn = this.#last.then(() => this.#run(outputs, feeds));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Free the device's memory. */
  async dispose() {
    await this.#last;
    await this.#session.release();
  }

  /**
   * @param {string[]} outputs
   * @param {Record<string, Feed>} feeds
   */
  async #run(outputs, feeds) {
    try {
      const tensors = Object.entries(feeds).map(([name, feed]) => [name, this.#tensor(feed)]);
      const found = await this.#session.run(Object.fromEntries(tensors), outputs);
      return await Promise.all(outputs.map((name) => taken(found[name])));
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
 * @param {import("onnxruntime-common").InferenceSession.SessionOptions} options
 */
function load(ort, model, data, options) {
  // One call, whose two forms are typed apart.
  return ort.InferenceSession.create(/** @type {string} */ (model), {
    ...options,
    ...(data.length ? { externalData: data } : {}),
  });
}

/**
 * The outputs of a graph without inputs, in one block.
 * @param {Ort} ort
 * @param {string | Uint8Array} model
 * @param {Graph["data"]} data
 * @param {import("onnxruntime-common").InferenceSession.SessionOptions} options
 */
async function unpacked(ort, model, data, options) {
  // Constants all the way: an optimizer would compute everything while loading, in one thread, and keep it.
  const session = await load(ort, model, data, { ...options, graphOptimizationLevel: "disabled" });
  const outputs = await session.run({});
  const pieces = session.outputNames.map((name) => bytesOf(outputs[name]));
  await session.release();
  const starts = [0];
  for (const { length } of pieces) starts.push(starts[starts.length - 1] + ALIGNED * Math.ceil(length / ALIGNED));
  const block = new Uint8Array(starts[pieces.length]);
  pieces.forEach((piece, i) => {
    block.set(piece, starts[i]);
    free(piece);
  });
  return block;
}

/**
 * Give back memory at once, where it would wait for a garbage collection that sees no need: sent away, to nobody.
 * @param {Uint8Array} bytes All of a buffer, which is not used again.
 */
function free({ buffer }) {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(null, [/** @type {ArrayBuffer} */ (buffer)]);
  port1.close();
}

/** @param {Tensor} tensor */
function bytesOf({ data }) {
  const { buffer, byteOffset, byteLength } = /** @type {Float32Array | Int8Array} */ (data);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * A tensor's values, read once.
 * @param {Tensor} tensor
 * @returns {Promise<Output>}
 */
async function taken(tensor) {
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
