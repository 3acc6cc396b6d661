/**
 * Logits of encoded pairs, by the graph that the session holds.
 */
import { paddedLogits } from "./padded.js";
import { readPast } from "./past_file.js";
import { PrefixScorer } from "./prefix.js";

/** @typedef {import("./padded.js").PaddedOptions} PaddedOptions */

export class PairScorer {
  #session;
  #setup;
  /** @type {PrefixScorer | undefined} */
  #prefix;

  /**
   * @param {import("./session.js").Session} session
   * @param {import("./engine.js").Setup} setup
   * @param {Uint8Array | null} content Of the file of keys and values.
   * @throws {import("../errors.js").ArtifactError} If that file's size is wrong.
   */
  constructor(session, setup, content) {
    const { graph, device, scoring, past } = setup;
    this.#session = session;
    this.#setup = setup;
    if (graph === "prefix" && scoring.kv_cache) {
      const stored = past && content && { key: past.token_ids.join(), past: readPast(past, content, scoring.kv_cache) };
      this.#prefix = new PrefixScorer(session, scoring.kv_cache, device, stored);
    }
  }

  /**
   * @param {import("../text/prompt.js").EncodedPair[]} pairs
   * @param {PaddedOptions} [options] pad_left is for padded graphs.
   * @returns {Promise<Float32Array>} In input order.
   */
  async score(pairs, options = {}) {
    if (this.#prefix) return this.#prefix.score(pairs, options.batch_tokens);
    const { column, scoring: { pad_token_id, readout } } = this.#setup;
    const sequences = pairs.map(({ token_ids, instruction, query }) => ({
      token_ids,
      second_start: instruction.length + query.length,
    }));
    const rows = await paddedLogits(this.#session, sequences, { ...options, pad_token_id, readout });
    return Float32Array.from(rows, (row) => row[column]);
  }
}
