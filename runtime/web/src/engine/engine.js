/**
 * What runs where the device is, in a browser in a worker: the tokenizer, the session, and the scorers on top of them.
 */
import { PromptEncoder, TextEncoder } from "../text/prompt.js";
import { TextTokenizer } from "../text/tokenizer.js";
import { activate } from "./activation.js";
import { grouped } from "./batching.js";
import { PairScorer } from "./pair_scorer.js";
import { Session } from "./session.js";
import { TextScorer } from "./text_scorer.js";

/** @typedef {import("../text/prompt.js").EncodedPair} EncodedPair */
/** @typedef {import("./maxsim.js").Vectors} Vectors */
/** @typedef {import("./padded.js").PaddedOptions} PaddedOptions */
/** @typedef {[string, string]} Pair A query and a document. */
/**
 * What an engine is made from, besides a graph's files. graph: which graph they are. past: what its file of keys and
 * values holds, if it has one. column: of the graph's logits, for the width of a matryoshka model.
 * @typedef {{scoring: import("../artifact/contract.js").Scoring,
 *   past: import("../artifact/contract.js").StoredPast | null, tokenizer: string,
 *   device: import("../artifact/contract.js").Device, threads?: number, max_length: number,
 *   graph: "padded" | "prefix", column: number}} Setup
 */
/** @typedef {{ort: import("./session.js").Ort, Tokenizer: import("../text/tokenizer.js").TokenizerClass}} Libraries */
/**
 * @typedef {PaddedOptions & {instruction?: string | null, activation?: "sigmoid" | "identity",
 *   special_tokens?: boolean}} ScoreOptions
 */
/**
 * In input order, one entry a pair; tokens: the prompt's length after truncation.
 * @typedef {{logits: Float32Array, scores: Float32Array, truncated: boolean[], tokens: number[]}} Scores
 */
/** What an engine offers, wherever it runs. */
/** @typedef {Pick<Engine, "score" | "encode" | "late" | "goldenTokens" | "goldenLogits" | "dispose">} RunningEngine */

export class Engine {
  #session;
  #setup;
  /** @type {{encoder: PromptEncoder, goldenEncoder: PromptEncoder, scorer: PairScorer} | undefined} */
  #pairs;
  /** @type {{encoder: TextEncoder, scorer: TextScorer} | undefined} */
  #texts;

  /**
   * @param {Setup} setup
   * @param {TextTokenizer} tokenizer
   * @param {Session} session
   * @param {Uint8Array | null} past The content of the file of keys and values.
   * @throws {import("../errors.js").ArtifactError} If that file's size is wrong.
   */
  constructor(setup, tokenizer, session, past) {
    const { prompt, texts, late_interaction, max_length, pad_token_id } = setup.scoring;
    this.#setup = setup;
    this.#session = session;
    if (prompt) {
      this.#pairs = {
        encoder: new PromptEncoder(tokenizer, prompt, setup.max_length),
        // Golden pairs are cut as they were at export, whatever the caller's limit is.
        goldenEncoder: new PromptEncoder(tokenizer, prompt, max_length),
        scorer: new PairScorer(session, setup, past),
      };
    } else if (texts && late_interaction) {
      this.#texts = {
        encoder: new TextEncoder(tokenizer, texts, late_interaction.expansion),
        scorer: new TextScorer(session, late_interaction, pad_token_id),
      };
    }
  }

  /**
   * @param {Libraries} libraries
   * @param {Setup} setup
   * @param {import("../artifact/files.js").Graph} graph
   */
  static async create({ ort, Tokenizer }, setup, graph) {
    const tokenizer = new TextTokenizer(setup.tokenizer, Tokenizer);
    const session = await Session.create(ort, graph, setup.device, setup.threads);
    try {
      return new Engine(setup, tokenizer, session, graph.past);
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  /**
   * @param {Pair[]} pairs
   * @param {ScoreOptions} options
   * @returns {Promise<Scores>}
   */
  async score(pairs, { instruction, activation, special_tokens = false, ...options } = {}) {
    const { encoder, scorer } = this.#forPairs();
    const { scoring } = this.#setup;
    const encoded = encodeByQuery(encoder, pairs, instruction, special_tokens);
    const logits = await scorer.score(encoded, options);
    return {
      logits,
      scores: activate(logits, activation ?? scoring.activation, scoring.logit_scale),
      truncated: encoded.map((pair) => pair.truncated),
      tokens: encoded.map((pair) => pair.token_ids.length),
    };
  }

  /**
   * Each text's vectors, in input order.
   * @param {string[]} texts
   * @param {PaddedOptions & {is_query: boolean, special_tokens?: boolean}} options
   * @returns {Promise<Vectors[]>}
   */
  async encode(texts, { special_tokens = false, ...options }) {
    const { encoder, scorer } = this.#forTexts();
    return scorer.embed(encoder.texts(texts, options.is_query, special_tokens), options);
  }

  /**
   * The similarity of a query with each document.
   * @param {string} query
   * @param {string[]} documents
   * @param {PaddedOptions & {special_tokens?: boolean}} options
   * @returns {Promise<{scores: Float32Array, truncated: boolean[]}>}
   */
  async late(query, documents, { special_tokens = false, ...options } = {}) {
    const { encoder, scorer } = this.#forTexts();
    const [queryVectors] = await this.encode([query], { ...options, special_tokens, is_query: true });
    const encoded = encoder.texts(documents, false, special_tokens);
    const scores = await scorer.similarities(queryVectors, encoded, options);
    return { scores, truncated: encoded.map((text) => text.truncated) };
  }

  /**
   * The token ids of golden pairs: of the prompt, or of query and document where they are embedded one by one.
   * @param {Pair[]} pairs
   * @returns {Promise<{query_token_ids: number[], token_ids: number[]}[]>}
   */
  async goldenTokens(pairs) {
    if (this.#pairs) {
      return this.#goldenPairs(pairs).map(({ token_ids }) => ({ query_token_ids: [], token_ids }));
    }
    const { encoder } = this.#forTexts();
    return pairs.map(([query, document]) => ({
      query_token_ids: encoder.texts([query], true, false)[0].token_ids,
      token_ids: encoder.texts([document], false, false)[0].token_ids,
    }));
  }

  /**
   * The logits of golden pairs.
   * @param {Pair[]} pairs
   * @returns {Promise<Float32Array>}
   */
  async goldenLogits(pairs) {
    if (this.#pairs) return this.#pairs.scorer.score(this.#goldenPairs(pairs));
    const scores = [];
    for (const [query, document] of pairs) scores.push((await this.late(query, [document])).scores[0]);
    return Float32Array.from(scores);
  }

  /** Free the device's memory. */
  async dispose() {
    await this.#session.dispose();
  }

  /** @param {Pair[]} pairs */
  #goldenPairs(pairs) {
    const { goldenEncoder } = this.#forPairs();
    return pairs.map(([query, document]) => goldenEncoder.pairs(query, [document], null, false)[0]);
  }

  #forPairs() {
    if (!this.#pairs) throw new Error("an artifact without a prompt reached score");
    return this.#pairs;
  }

  #forTexts() {
    if (!this.#texts) throw new Error("an artifact without late interaction reached encode");
    return this.#texts;
  }
}

/**
 * The pairs of each query are encoded together.
 * @param {PromptEncoder} encoder
 * @param {Pair[]} pairs
 * @param {string | null | undefined} instruction
 * @param {boolean} special_tokens
 */
function encodeByQuery(encoder, pairs, instruction, special_tokens) {
  /** @type {EncodedPair[]} */
  const encoded = new Array(pairs.length);
  for (const rows of grouped(pairs.map(([query]) => query))) {
    const [query] = pairs[rows[0]];
    const documents = rows.map((i) => pairs[i][1]);
    encoder.pairs(query, documents, instruction, special_tokens).forEach((pair, i) => (encoded[rows[i]] = pair));
  }
  return encoded;
}
