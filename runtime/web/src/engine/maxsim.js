/**
 * Exact MaxSim: for each query vector its best document vector's similarity, summed (Khattab and Zaharia 2020).
 */

import { InputError, show } from "../errors.js";

/**
 * A text's vectors, row by row: `data` holds `data.length / dim` of them.
 * @typedef {{data: Float32Array, dim: number}} Vectors
 */

/**
 * The MaxSim of a query with each document; a document without vectors scores -Infinity.
 * @param {Vectors} query
 * @param {Vectors[]} documents
 * @returns {Float32Array}
 * @throws {InputError} For what is no vectors, or vectors of another width.
 */
export function maxsim(query, documents) {
  check(query, "query");
  if (!Array.isArray(documents)) throw new InputError(`documents is ${show(documents)}; give a list of vectors from encode.`);
  for (const [i, document] of documents.entries()) {
    check(document, `documents[${i}]`);
    if (document.dim !== query.dim) {
      throw new InputError(
        `documents[${i}] has vectors of ${document.dim} numbers, and query of ${query.dim}; encode both with one model.`,
      );
    }
  }
  return Float32Array.from(documents, (document) => similarity(query, document));
}

/**
 * @param {Vectors} vectors
 * @param {string} place
 */
function check(vectors, place) {
  const { data, dim } = vectors ?? {};
  if (Number.isInteger(dim) && dim > 0 && data?.length % dim === 0) return;
  throw new InputError(`${place} is ${show(vectors)}; give vectors from encode: data, rows of dim numbers each, and dim.`);
}

/**
 * @param {Vectors} query
 * @param {Vectors} document
 */
function similarity(query, document) {
  if (document.data.length === 0) return -Infinity;
  const { dim } = query;
  let sum = 0;
  for (let q = 0; q < query.data.length; q += dim) {
    let best = -Infinity;
    for (let d = 0; d < document.data.length; d += dim) {
      let product = 0;
      for (let i = 0; i < dim; i++) product += query.data[q + i] * document.data[d + i];
      if (product > best) best = product;
    }
    sum += best;
  }
  return sum;
}
