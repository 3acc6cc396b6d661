/**
 * How close a device's logits are to PyTorch's, in the terms that matter for ranking.
 */

/**
 * @typedef {{pairs: number, max_logit_difference: number, max_score_difference: number, kendall_tau: number,
 *   top1_agreement: number, worst_tokens: number}} Parity
 */

/**
 * worst_tokens: the token count of the pair that differs most.
 * @param {{query: string, token_ids: number[]}[]} pairs
 * @param {number[]} expected
 * @param {ArrayLike<number>} found
 * @param {(logits: ArrayLike<number>) => Float32Array} activate
 * @returns {Parity}
 */
export function compare(pairs, expected, found, activate) {
  const differences = expected.map((logit, i) => distance(logit, found[i]));
  const before = activate(expected);
  const after = activate(found);
  const worst = differences.indexOf(Math.max(...differences));
  return {
    pairs: pairs.length,
    max_logit_difference: differences[worst],
    max_score_difference: Math.max(...before.map((score, i) => distance(score, after[i]))),
    kendall_tau: kendallTau(expected, found),
    top1_agreement: topAgreement(pairs, expected, found),
    worst_tokens: pairs[worst].token_ids.length,
  };
}

/**
 * @param {number} a
 * @param {number} b
 */
function distance(a, b) {
  const difference = Math.abs(a - b);
  // NaN compares false with everything, and would pass.
  return Number.isNaN(difference) ? Infinity : difference;
}

/**
 * Kendall's tau-b: 1 for the same order, -1 for the reverse.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 */
export function kendallTau(a, b) {
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = i + 1; j < a.length; j++) {
      const [inA, inB] = [Math.sign(a[i] - a[j]), Math.sign(b[i] - b[j])];
      product += inA * inB;
      squaresA += Math.abs(inA);
      squaresB += Math.abs(inB);
    }
  }
  const untied = Math.sqrt(squaresA * squaresB);
  return untied ? product / untied : 1;
}

/**
 * @param {{query: string}[]} pairs
 * @param {number[]} expected
 * @param {ArrayLike<number>} found
 */
function topAgreement(pairs, expected, found) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  pairs.forEach(({ query }, i) => groups.set(query, [...(groups.get(query) ?? []), i]));
  const several = [...groups.values()].filter((group) => group.length > 1);
  if (!several.length) return 1;
  /** @param {number[]} group @param {ArrayLike<number>} logits */
  const top = (group, logits) => group.reduce((best, i) => (logits[i] > logits[best] ? i : best));
  return several.filter((group) => top(group, expected) === top(group, found)).length / several.length;
}
