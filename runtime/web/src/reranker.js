/**
 * Scores (query, document) pairs with an exported artifact; method names and results as in Python.
 */
import { ACTIVATIONS } from "./artifact/contract.js";
import { InputError, show } from "./errors.js";
import { Model } from "./model.js";
import { open } from "./open.js";
import { checkOptions, ranked } from "./ranking.js";
import { checkText, textsOf } from "./text/documents.js";

/** @typedef {import("./text/documents.js").Document} Document */
/** @typedef {import("./engine/engine.js").Scores} Scores */
/**
 * instruction: what counts as relevant, in a sentence; the model's default if left out.
 * activation: "sigmoid" (a probability) or "identity" (the raw logit); the artifact's choice if left out.
 * batch_tokens: rows x longest row of one run, 2048 by default.
 * special_tokens: parse control tokens such as <|im_end|> inside the texts, as the reference code does; by default
 * they are ordinary text, because untrusted text must not rewrite the prompt.
 * @typedef {{instruction?: string, activation?: "sigmoid" | "identity", batch_tokens?: number,
 *   special_tokens?: boolean}} ScoreOptions
 */

export class PairReranker extends Model {
  /**
   * @protected
   * @param {import("./open.js").Platform<any>} platform
   * @param {string | URL} source
   * @param {import("./open.js").OpenOptions} options
   */
  static async open(platform, source, options) {
    return new this(await open(platform, source, "Reranker", options));
  }

  /**
   * Documents by falling score. A document is a string or, where the artifact has a document template, an object of
   * fields or a [name, description] list.
   * @param {string} query
   * @param {Document[]} documents
   * @param {ScoreOptions & {top_k?: number, return_documents?: boolean}} [options]
   * @returns {Promise<import("./ranking.js").Hit[]>}
   * @throws {InputError} For texts or options that cannot be used.
   */
  async rank(query, documents, options = {}) {
    checkOptions(options);
    checkText(query, "query");
    const texts = textsOf(documents, this.#template(), "documents");
    const { logits, scores, truncated } = await this.#run(texts.map((text) => [query, text]), options);
    return ranked(logits, scores, truncated, texts, options);
  }

  /**
   * The scores of (query, document) pairs, in input order.
   * @param {[string, Document][]} pairs
   * @param {ScoreOptions} [options]
   * @returns {Promise<Float32Array>}
   * @throws {InputError} For texts or options that cannot be used.
   */
  async predict(pairs, options = {}) {
    return (await this.score(pairs, options)).scores;
  }

  /**
   * Logits, scores, truncation and token counts of (query, document) pairs, in input order.
   * @param {[string, Document][]} pairs
   * @param {ScoreOptions} [options]
   * @returns {Promise<Scores>}
   * @throws {InputError} For texts or options that cannot be used.
   */
  async score(pairs, options = {}) {
    checkOptions(options);
    if (!Array.isArray(pairs)) throw new InputError(`pairs is ${show(pairs)}; give a list of [query, document].`);
    for (const [i, pair] of pairs.entries()) {
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new InputError(`pairs[${i}] is ${show(pair)}; give a [query, document] list.`);
      }
      checkText(pair[0], `queries[${i}]`);
    }
    const texts = textsOf(pairs.map(([, document]) => document), this.#template(), "documents");
    return this.#run(pairs.map(([query], i) => [query, texts[i]]), options);
  }

  /**
   * @param {[string, string][]} pairs
   * @param {ScoreOptions} options
   * @returns {Promise<Scores>}
   */
  async #run(pairs, { instruction, activation, batch_tokens, special_tokens }) {
    const { engine, manifest } = this.opened();
    if (activation !== undefined && !ACTIVATIONS.includes(activation)) {
      throw new InputError(`activation is ${show(activation)}; give ${ACTIVATIONS.map(show).join(" or ")}.`);
    }
    if (instruction !== undefined) {
      checkText(instruction, "instruction");
      if (manifest.scoring.prompt?.default_instruction === null) {
        throw new InputError(`instruction is ${show(instruction)}, and this model takes none; leave it out.`);
      }
    }
    return engine.score(pairs, { instruction, activation, batch_tokens, special_tokens });
  }

  #template() {
    return this.manifest.scoring.prompt?.document_template ?? null;
  }
}
