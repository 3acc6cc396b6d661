/**
 * From scores to the ranked list that people get; the same for every model.
 */
import { InputError, show } from "./errors.js";

/**
 * A document's place in the list, its score, whether its end was cut to fit and, if asked for, its text.
 * @typedef {{corpus_id: number, score: number, truncated: boolean, text?: string}} Hit
 */

/**
 * Documents by falling logit; equal ones keep their input order.
 * @param {Float32Array} order What to sort by: logits, which differ where large ones all become the probability 1.
 * @param {Float32Array} scores
 * @param {boolean[]} truncated
 * @param {string[]} texts
 * @param {{top_k?: number, return_documents?: boolean}} options
 * @returns {Hit[]}
 */
export function ranked(order, scores, truncated, texts, { top_k, return_documents = false }) {
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
 * @param {{top_k?: number, batch_tokens?: number, threads?: number}} options
 * @throws {InputError} For options that are no object, and for counts that are not positive.
 */
export function checkOptions(options) {
  if (typeof options !== "object" || options === null) {
    throw new InputError(`options is ${show(options)}; give an object such as { batch_tokens: 2048 }, or leave it out.`);
  }
  for (const name of /** @type {const} */ (["top_k", "batch_tokens", "threads"])) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0)) {
      throw new InputError(`${name} is ${show(value)}; give a whole number of at least 1, or leave it out.`);
    }
  }
}
