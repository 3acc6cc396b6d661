/**
 * One graph on one device. Runs wait for each other: ONNX Runtime Web runs one at a time.
 */
import { BackendError, reason } from "./errors.js";

/** @typedef {typeof import("onnxruntime-common")} Ort */
/** @typedef {import("onnxruntime-common").Tensor} Tensor */
/** @typedef {"webgpu" | "wasm" | "cpu"} Device */
/**
 * A graph and the external weights it names: paths in Node, blobs in a browser.
 * @typedef {{model: string | Blob, data: {path: string, data: Blob}[]}} Graph
 */
/** @typedef {{ids: BigInt64Array, mask: BigInt64Array, types: BigInt64Array, rows: number, width: number}} Batch */

const MEMORY = /memory|bad_alloc|allocation failed|OOM/i;

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
   * @param {Graph} graph
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
    if (graph.data.length) {
      options.externalData = await Promise.all(
        graph.data.map(async ({ path, data }) => ({ path, data: new Uint8Array(await data.arrayBuffer()) })),
      );
    }
    try {
      const session =
        typeof graph.model === "string"
          ? await ort.InferenceSession.create(graph.model, options)
          : await ort.InferenceSession.create(new Uint8Array(await graph.model.arrayBuffer()), options);
      return new Session(ort, session, device);
    } catch (error) {
      throw failure(`ONNX Runtime cannot load the graph on ${device}`, error);
    }
  }

  /**
   * @param {string} output
   * @param {Batch} batch
   * @returns {Promise<{data: Float32Array, dims: readonly number[]}>}
   * @throws {BackendError} If the device fails.
   */
  async run(output, batch) {
    const turn = this.#last.then(() => this.#run(output, batch));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Free the device's memory. */
  async dispose() {
    await this.#last;
    await this.#session.release();
  }

  /**
   * @param {string} output
   * @param {Batch} batch
   */
  async #run(output, { ids, mask, types, rows, width }) {
    const integers = { input_ids: ids, attention_mask: mask, token_type_ids: types };
    /** @type {Record<string, Tensor>} */
    const feeds = {};
    for (const name of this.#session.inputNames) {
      const data = integers[/** @type {keyof typeof integers} */ (name)];
      feeds[name] = data ? new this.#ort.Tensor("int64", data, [rows, width]) : this.#emptyCache(name, rows);
    }
    try {
      const { [output]: tensor } = await this.#session.run(feeds, [output]);
      const found = { data: /** @type {Float32Array} */ (await tensor.getData()), dims: tensor.dims };
      tensor.dispose();
      return found;
    } catch (error) {
      throw failure(`${this.#device} failed on ${rows} rows of ${width} tokens`, error);
    }
  }

  /**
   * A `past_key_values` input that holds nothing yet.
   * @param {string} name
   * @param {number} rows
   */
  #emptyCache(name, rows) {
    const entry = this.#session.inputMetadata.find((input) => input.name === name);
    if (!entry?.isTensor) throw new BackendError(`the graph wants the unknown input "${name}"; export it again.`);
    const dims = entry.shape.map((size) => (typeof size === "number" ? size : size === "batch_size" ? rows : 0));
    return new this.#ort.Tensor(entry.type, entry.type === "float16" ? new Uint16Array(0) : new Float32Array(0), dims);
  }
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
