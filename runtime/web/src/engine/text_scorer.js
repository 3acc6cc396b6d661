/**
 * Vectors of texts that are embedded one by one, and similarities between them.
 */
import { maxsim } from "./maxsim.js";
import { paddedVectors } from "./padded.js";

/** @typedef {import("./maxsim.js").Vectors} Vectors */
/** @typedef {import("./padded.js").PaddedOptions} PaddedOptions */

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
   * @param {import("../text/prompt.js").EncodedText[]} texts
   * @param {PaddedOptions & {is_query: boolean}} options
   * @returns {Promise<Vectors[]>}
   */
  async embed(texts, { is_query, ...options }) {
    const rows = await paddedVectors(this.#session, texts, { ...options, pad_token_id: this.#padTokenId });
    return rows.map((data, i) => ({
      data: is_query ? data : this.#withoutSkipped(data, texts[i].token_ids),
      dim: this.#dim,
    }));
  }

  /**
   * @param {Vectors} query
   * @param {Vectors[]} documents
   */
  similarities(query, documents) {
    return maxsim(query, documents);
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
