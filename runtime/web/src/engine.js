/**
 * What runs where the device is (in a browser: in a worker): tokenizer, session and the comparison with PyTorch.
 */
import { activate } from "./activation.js";
import { ArtifactError } from "./errors.js";
import { maxsim } from "./maxsim.js";
import { PackedScorer } from "./packed.js";
import { grouped } from "./packing.js";
import { compare } from "./parity.js";
import { embed, score } from "./portable.js";
import { PromptEncoder, TextEncoder } from "./prompt.js";
import { Session } from "./session.js";
import { TextTokenizer } from "./tokenizer.js";

/** @typedef {import("./golden.js").GoldenPair} GoldenPair */
/** @typedef {import("./parity.js").Parity} Parity */
/** @typedef {import("./maxsim.js").Vectors} Vectors */
/**
 * What an engine is made from, besides a graph. packed: whether the graph is packed. exit: which of the matryoshka exits
 * it is, column: of its logits, the width.
 * @typedef {{scoring: import("./manifest.js").Scoring, tokenizer: string, device: import("./session.js").Device,
 *   threads?: number, max_length: number, packed: boolean, exit: number, column: number}} Setup
 */
/** @typedef {{ort: import("./session.js").Ort, Tokenizer: import("./tokenizer.js").TokenizerClass}} Libraries */
/**
 * @typedef {{instruction?: string | null, activation?: string, special_tokens?: boolean, batch_tokens?: number,
 *   pad_left?: boolean}} ScoreOptions
 */
/**
 * In input order, one entry a pair; tokens: the prompt's length after truncation.
 * @typedef {{logits: Float32Array, scores: Float32Array, truncated: boolean[], tokens: number[]}} Scores
 */

export class Engine {
  /** @type {Session} */
  #session;
  #setup;
  /** @type {PromptEncoder | undefined} */
  #prompts;
  /** @type {PromptEncoder | undefined} */
  #fullPrompts;
  /** @type {TextEncoder | undefined} */
  #texts;
  /** @type {PackedScorer | undefined} */
  #packed;

  /**
   * @param {Setup} setup
   * @param {TextTokenizer} tokenizer
   * @param {Session} session
   */
  constructor(setup, tokenizer, session) {
    const { prompt, texts, late_interaction, kv_cache } = setup.scoring;
    this.#setup = setup;
    this.#session = session;
    if (setup.packed && kv_cache) this.#packed = new PackedScorer(session, kv_cache, setup.device);
    if (prompt) {
      this.#prompts = new PromptEncoder(tokenizer, prompt, setup.max_length);
      // The proof's pairs are cut as the artifact cuts them, whatever the caller's limit.
      this.#fullPrompts = new PromptEncoder(tokenizer, prompt, setup.scoring.max_length);
    } else if (texts) this.#texts = new TextEncoder(tokenizer, texts, late_interaction?.expansion ?? null);
  }

  /**
   * @param {Libraries} libraries
   * @param {Setup} setup
   * @param {import("./session.js").Graph} graph
   */
  static async create({ ort, Tokenizer }, setup, graph) {
    const tokenizer = new TextTokenizer(setup.tokenizer, Tokenizer);
    const session = await Session.create(ort, graph, setup.device, setup.threads);
    try {
      return new Engine(setup, tokenizer, session);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  /**
   * @param {[string, string][]} pairs Queries and documents.
   * @param {ScoreOptions} options
   * @returns {Promise<Scores>}
   */
  async score(pairs, { instruction, activation, special_tokens = false, batch_tokens, pad_left } = {}) {
    const { scoring } = this.#setup;
    const encoded = this.#encodePairs(pairs, instruction, special_tokens);
    const logits = await this.#logits(encoded, this.#run(batch_tokens, pad_left));
    return {
      logits,
      scores: activate(logits, activation ?? scoring.activation, scoring.logit_scale),
      truncated: encoded.map((pair) => pair.truncated),
      tokens: encoded.map((pair) => pair.token_ids.length),
    };
  }

  /**
   * Each text's vectors: of queries for every token and expansion token, of documents for those not on the skip list.
   * @param {string[]} texts
   * @param {{is_query: boolean, special_tokens?: boolean, batch_tokens?: number, pad_left?: boolean}} options
   * @returns {Promise<{vectors: Vectors[], truncated: boolean[]}>}
   */
  async encode(texts, { is_query, special_tokens = false, batch_tokens, pad_left }) {
    const encoded = this.#encoder().texts(texts, is_query, special_tokens);
    const rows = await embed(this.#session, encoded, this.#run(batch_tokens, pad_left));
    const { dim, skip_token_ids } = this.#late();
    const skipped = new Set(is_query ? [] : skip_token_ids);
    const vectors = rows.map((data, i) => ({ data: keep(data, dim, encoded[i].token_ids, skipped), dim }));
    return { vectors, truncated: encoded.map((text) => text.truncated) };
  }

  /**
   * MaxSim of a query with each document.
   * @param {string} query
   * @param {string[]} documents
   * @param {{special_tokens?: boolean, batch_tokens?: number, pad_left?: boolean}} options
   * @returns {Promise<{scores: Float32Array, truncated: boolean[]}>}
   */
  async late(query, documents, options = {}) {
    const { vectors: [asked] } = await this.encode([query], { ...options, is_query: true });
    const { vectors, truncated } = await this.encode(documents, { ...options, is_query: false });
    return { scores: maxsim(asked, vectors), truncated };
  }

  /**
   * Compare this device with PyTorch over golden pairs: the token ids, then the scores.
   * @param {GoldenPair[]} pairs
   * @returns {Promise<Parity>}
   * @throws {ArtifactError} If the tokenizer gives other ids than the reference's.
   */
  async parity(pairs) {
    const { scoring, exit, column } = this.#setup;
    const encoded = this.#checkTokens(pairs);
    const scored = pairs.filter((pair) => pair.logits !== null);
    const width = scoring.matryoshka?.dims.length ?? 1;
    const expected = scored.map((pair) => /** @type {number[]} */ (pair.logits)[exit * width + column]);
    const found = encoded
      ? await this.#logits(encoded.filter((_, i) => pairs[i].logits !== null), this.#run())
      : await this.#similarities(scored);
    return compare(scored, expected, found, (x) => activate(x, scoring.activation, scoring.logit_scale));
  }

  /** Free the device's memory. */
  async dispose() {
    await this.#session.dispose();
  }

  /**
   * @param {GoldenPair[]} pairs
   */
  async #similarities(pairs) {
    const found = [];
    for (const { query, document } of pairs) found.push((await this.late(query, [document])).scores[0]);
    return Float32Array.from(found);
  }

  /**
   * The pairs' prompts, where the model reads pairs.
   * @param {GoldenPair[]} pairs
   */
  #checkTokens(pairs) {
    const prompts = this.#fullPrompts;
    const encoded = prompts && pairs.map(({ query, document }) => prompts.pairs(query, [document], null, false)[0]);
    pairs.forEach(({ query, document, query_token_ids, token_ids }, i) => {
      const [found, expected] = encoded
        ? [[encoded[i].token_ids], [token_ids]]
        : [this.#textIds(query, document), [query_token_ids, token_ids]];
      if (JSON.stringify(found) === JSON.stringify(expected)) return;
      throw new ArtifactError(
        `query "${query.slice(0, 60)}" with document "${document.slice(0, 60)}" gives other token ids than the ` +
          "reference; this tokenizer does not work in JavaScript: score this model in Python.",
      );
    });
    return encoded;
  }

  /**
   * @param {string} query
   * @param {string} document
   */
  #textIds(query, document) {
    const encoder = this.#encoder();
    return [encoder.texts([query], true, false)[0].token_ids, encoder.texts([document], false, false)[0].token_ids];
  }

  /**
   * @param {import("./prompt.js").EncodedPair[]} encoded
   * @param {{pad_token_id: number, batch_tokens?: number, pad_left?: boolean}} options
   */
  async #logits(encoded, options) {
    if (this.#packed) return this.#packed.score(encoded, options.batch_tokens);
    const { scoring, column } = this.#setup;
    const rows = await score(this.#session, encoded, { ...options, readout: scoring.readout });
    return Float32Array.from(rows, (row) => row[column]);
  }

  /**
   * @param {[string, string][]} pairs
   * @param {string | null | undefined} instruction
   * @param {boolean} special_tokens
   */
  #encodePairs(pairs, instruction, special_tokens) {
    if (!this.#prompts) throw new Error("an artifact without a prompt reached score");
    /** @type {import("./prompt.js").EncodedPair[]} */
    const encoded = new Array(pairs.length);
    for (const rows of grouped(pairs.map(([query]) => query))) {
      const [query] = pairs[rows[0]];
      const found = this.#prompts.pairs(query, rows.map((i) => pairs[i][1]), instruction, special_tokens);
      rows.forEach((i, row) => (encoded[i] = found[row]));
    }
    return encoded;
  }

  #encoder() {
    if (!this.#texts) throw new Error("an artifact without texts reached encode");
    return this.#texts;
  }

  #late() {
    const late = this.#setup.scoring.late_interaction;
    if (!late) throw new Error("an artifact without late interaction reached encode");
    return late;
  }

  /**
   * @param {number} [batch_tokens]
   * @param {boolean} [pad_left]
   */
  #run(batch_tokens, pad_left) {
    return { pad_token_id: this.#setup.scoring.pad_token_id, batch_tokens, pad_left };
  }
}

/**
 * @param {Float32Array} data
 * @param {number} dim
 * @param {number[]} tokenIds
 * @param {Set<number>} skipped
 */
function keep(data, dim, tokenIds, skipped) {
  const rows = tokenIds.map((_, i) => i).filter((i) => !skipped.has(tokenIds[i]));
  if (rows.length === tokenIds.length) return data;
  const kept = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => kept.set(data.subarray(row * dim, (row + 1) * dim), i * dim));
  return kept;
}
