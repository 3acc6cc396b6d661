/**
 * Text to token ids with one tokenizer.json, where texts cannot write control tokens.
 */
import { PLACEHOLDER, TOKENIZER } from "../artifact/contract.js";
import { ArtifactError, reason } from "../errors.js";
import { preparation, withUnicodeSpaces } from "./unicode.js";

/** @typedef {typeof import("@huggingface/tokenizers").Tokenizer} TokenizerClass */
/** @typedef {{content: string, id: number, special: boolean, normalized: boolean}} AddedToken */

export class TextTokenizer {
  #full;
  /** @type {import("@huggingface/tokenizers").Tokenizer | undefined} */
  #plain;
  #json;
  #Tokenizer;
  #control;
  #prepare;

  /**
   * @param {string} json The text of tokenizer.json.
   * @param {TokenizerClass} Tokenizer
   * @throws {ArtifactError} If it is no tokenizer.
   */
  constructor(json, Tokenizer) {
    this.#json = json;
    this.#Tokenizer = Tokenizer;
    try {
      const data = JSON.parse(json);
      this.#control = controlPattern(data.added_tokens);
      this.#prepare = preparation(data.normalizer);
      this.#full = build(data, Tokenizer);
    } catch (error) {
      throw new ArtifactError(`${TOKENIZER} is no tokenizer (${reason(error)}); export the artifact again.`);
    }
  }

  /**
   * Each text's token ids, without the tokenizer's own template; control tokens inside are parsed if `special_tokens`,
   * else plain text.
   * @param {string[]} texts
   * @param {boolean} special_tokens
   * @returns {number[][]}
   */
  encode(texts, special_tokens) {
    // Most texts hold no control token; then both tokenizers agree, and the second need not be built.
    const plain = !special_tokens && texts.some((text) => this.#control.test(text));
    const tokenizer = plain ? (this.#plain ??= withoutControlTokens(JSON.parse(this.#json), this.#Tokenizer)) : this.#full;
    return texts.map((text) => tokenizer.encode(this.#prepare(text), { add_special_tokens: false }).ids);
  }
}

/**
 * @param {any} data
 * @param {TokenizerClass} Tokenizer
 */
function build(data, Tokenizer) {
  // Without the tokenizer's template: prompts have their own.
  return new Tokenizer({ ...data, pre_tokenizer: withUnicodeSpaces(data.pre_tokenizer), post_processor: null }, {});
}

/**
 * The same vocabulary without control tokens, so that no text can write them.
 * @param {any} data
 * @param {TokenizerClass} Tokenizer
 */
function withoutControlTokens(data, Tokenizer) {
  /** @type {AddedToken[]} */
  const added = data.added_tokens;
  const control = new Set(added.filter(isControl).map((token) => token.content));
  data.added_tokens = added.filter((token) => !control.has(token.content));
  if (data.model.type === "Unigram") {
    // A placeholder keeps the piece's place in the list, which is its id. It is random: no text can hold it on purpose.
    const secret = PLACEHOLDER + Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-");
    data.model.vocab = data.model.vocab.map((/** @type {[string, number]} */ [piece, score], /** @type {number} */ i) =>
      control.has(piece) && i !== data.model.unk_id ? [`${secret}${i}`, score] : [piece, score],
    );
  }
  return build(data, Tokenizer);
}

/** @param {AddedToken[]} added */
function controlPattern(added) {
  const control = added.filter(isControl);
  // Such a token can appear only after normalization, which a search of the raw text cannot see.
  if (control.some((token) => token.normalized)) return /(?:)/;
  const escaped = control.map((token) => token.content.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(escaped.join("|") || "(?!)");
}

/** @param {AddedToken} token */
function isControl(token) {
  // Some tokenizers add tokens for runs of spaces or newlines: these are ordinary text.
  return token.content.replaceAll("\u2581", "").trim() !== "";
}
