/**
 * Exact MaxSim: for each query vector its best document vector's similarity, summed (Khattab and Zaharia 2020).
 */

/**
 * A text's vectors, row by row: `data` holds `data.length / dim` of them.
 * @typedef {{data: Float32Array, dim: number}} Vectors
 */

/**
 * The MaxSim of a query with each document; a document without vectors scores -Infinity.
 * @param {Vectors} query
 * @param {Vectors[]} documents
 * @returns {Float32Array}
 */
export function maxsim(query, documents) {
  return Float32Array.from(documents, (document) => similarity(query, document));
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
