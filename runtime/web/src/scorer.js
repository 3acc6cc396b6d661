/**
 * What `Reranker` and `LateInteraction` share: what was opened, its proof, its end.
 */
import { allowedFromPyTorch, checkParity } from "./check.js";
import { InputError, RerankError } from "./errors.js";

/** @typedef {import("./open.js").Opened} Opened */
/**
 * A document's place in the list, its score, whether its end was cut to fit and, if asked for, its text.
 * @typedef {{corpus_id: number, score: number, truncated: boolean, text?: string}} Hit
 */

export class Scorer {
  /** @type {Opened | undefined} */
  #opened;

  /** @param {Opened} opened */
  constructor(opened) {
    this.#opened = opened;
    /** Where the model runs: "webgpu", "wasm" or "cpu". */
    this.device = opened.device;
    /** The variant's name: fp32, fp16, int8, q4 or q4f16. */
    this.dtype = opened.dtype;
    /** Why devices that would be better are not used, a sentence each. */
    this.notes = opened.notes;
    this.manifest = opened.manifest;
  }

  /**
   * Compare this device with PyTorch over the whole of golden.json.
   * @returns {Promise<import("./parity.js").Parity>}
   * @throws {import("./errors.js").ParityError} If token ids differ, or scores stray further than the export's own proof allows.
   */
  async verify() {
    const { engine, golden, check, dtype, column, device, manifest } = this.opened();
    const parity = await engine.parity(await golden());
    const allowed = allowedFromPyTorch(check, dtype, column, manifest.variants[dtype]);
    checkParity(parity, allowed, `${dtype} on ${device}`);
    return parity;
  }

  /** Free the memory of the model; afterwards it scores no more. */
  async dispose() {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.engine.dispose();
  }

  /** @protected */
  opened() {
    if (!this.#opened) throw new RerankError("this model was disposed of; open it again with from_pretrained.");
    return this.#opened;
  }
}

/**
 * Documents by falling order; equal ones keep their input order.
 * @param {Float32Array} order What to sort by.
 * @param {Float32Array} scores
 * @param {boolean[]} truncated
 * @param {string[]} texts
 * @param {{top_k?: number, return_documents?: boolean}} options
 * @returns {Hit[]}
 */
export function ranking(order, scores, truncated, texts, { top_k, return_documents = false }) {
  const indices = scores.length ? [...scores.keys()] : [];
  indices.sort((a, b) => order[b] - order[a]);
  return indices.slice(0, top_k).map((i) => ({
    corpus_id: i,
    score: scores[i],
    truncated: truncated[i],
    ...(return_documents ? { text: texts[i] } : {}),
  }));
}

/**
 * @param {{top_k?: number, batch_tokens?: number}} options
 * @throws {InputError} For counts that are not positive.
 */
export function checkCounts(options) {
  for (const name of /** @type {const} */ (["top_k", "batch_tokens"])) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) {
      throw new InputError(`${name} is ${value}; give a whole number of at least 1, or leave it out.`);
    }
  }
}
