/**
 * A vector per token, and MaxSim between them; results as in Python.
 */
import { Model } from "./model.js";
import { open } from "./open.js";
import { checkOptions, ranked } from "./ranking.js";
import { checkText, textsOf } from "./text/documents.js";

export class TokenRanker extends Model {
  /**
   * @protected
   * @param {import("./open.js").Platform<any>} platform
   * @param {string | URL} source
   * @param {import("./open.js").OpenOptions} options
   */
  static async open(platform, source, options) {
    return new this(await open(platform, source, "LateInteraction", options));
  }

  /**
   * Each text's L2-normalised vectors, in input order: of queries for every token and expansion token, of documents
   * for those not on the model's skip list. Texts are documents unless `is_query` is true.
   * @param {string[]} texts
   * @param {{is_query?: boolean, special_tokens?: boolean, batch_tokens?: number}} [options]
   * @returns {Promise<import("./engine/maxsim.js").Vectors[]>}
   * @throws {import("./errors.js").InputError} For texts that are not strings.
   */
  async encode(texts, options = {}) {
    checkOptions(options);
    const { is_query = false, special_tokens, batch_tokens } = options;
    const checked = textsOf(texts, null, "texts");
    return this.opened().engine.encode(checked, { is_query, special_tokens, batch_tokens });
  }

  /**
   * Documents by falling MaxSim score; equal scores keep their input order.
   * @param {string} query
   * @param {string[]} documents
   * @param {{top_k?: number, return_documents?: boolean, special_tokens?: boolean, batch_tokens?: number}} [options]
   * @returns {Promise<import("./ranking.js").Hit[]>}
   * @throws {import("./errors.js").InputError} For texts or options that cannot be used.
   */
  async rank(query, documents, options = {}) {
    checkOptions(options);
    checkText(query, "query");
    const texts = textsOf(documents, null, "documents");
    const { special_tokens, batch_tokens } = options;
    const { scores, truncated } = await this.opened().engine.late(query, texts, { special_tokens, batch_tokens });
    return ranked(scores, scores, truncated, texts, options);
  }
}
