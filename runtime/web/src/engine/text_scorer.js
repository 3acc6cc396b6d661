/**
 * Vectors of texts that are embedded one by one, and similarities between them.
 */
import { maxsim } from "./maxsim.js";
import { paddedVectors } from "./padded.js";

/** @typedef {import("./maxsim.js").Vectors} Vectors */
/** @typedef {import("./padded.js").PaddedOptions} PaddedOptions */
/** @typedef {import("../text/prompt.js").EncodedText} EncodedText */

export class TextScorer {
  #session;
  #padTokenId;
  #dim;
  #skipped;

  /**
   * @param {import("./session.js").Session} session
   * @param {import("../artifact/contract.js").TokenVectors} tokenVectors
   * @param {number} padTokenId
   */
  constructor(session, { dim, skip_token_ids }, padTokenId) {
    this.#session = session;
    this.#padTokenId = padTokenId;
    this.#dim = dim;
    this.#skipped = new Set(skip_token_ids);
  }

  /**
   * Each text's vectors, in input order; of documents, tokens on the skip list have none.
   * @param {EncodedText[]} texts
   * @param {PaddedOptions & {is_query: boolean}} options
   * @returns {Promise<Vectors[]>}
   */
  async embed(texts, { is_query, ...options }) {
    /** @type {Vectors[]} */
    const vectors = new Array(texts.length);
    for await (const [i, data] of this.#run(texts, options)) {
      vectors[i] = { dim: this.#dim, data: is_query ? data : this.#withoutSkipped(data, texts[i].token_ids) };
    }
    return vectors;
  }

  /**
   * The similarity of a query with each document. Documents are scored run after run, so that memory holds the vectors of
   * one run, however many documents there are.
   * @param {Vectors} query
   * @param {EncodedText[]} documents
   * @param {PaddedOptions} options
   * @returns {Promise<Float32Array>} In input order.
   */
  async similarities(query, documents, options) {
    const scores = new Float32Array(documents.length);
    for await (const [i, data] of this.#run(documents, options)) {
      const document = { dim: this.#dim, data: this.#withoutSkipped(data, documents[i].token_ids) };
      [scores[i]] = maxsim(query, [document]);
    }
    return scores;
  }

  /**
   * @param {EncodedText[]} texts
   * @param {PaddedOptions} options
   */
  #run(texts, options) {
    return paddedVectors(this.#session, texts, { ...options, pad_token_id: this.#padTokenId });
  }

  /**
   * @param {Float32Array} data
   * @param {number[]} tokenIds
   */
  #withoutSkipped(data, tokenIds) {
    const dim = this.#dim;
    const rows = tokenIds.map((_, i) => i).filter((i) => !this.#skipped.has(tokenIds[i]));
    if (rows.length === tokenIds.length) return data;
    const remaining = new Float32Array(rows.length * dim);
    rows.forEach((row, i) => remaining.set(data.subarray(row * dim, (row + 1) * dim), i * dim));
    return remaining;
  }
}
