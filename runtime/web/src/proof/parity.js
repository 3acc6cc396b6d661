/**
 * How close two lists of logits are, in the terms that matter for ranking.
 */

/**
 * worst_tokens: the token count of the pair that differs most.
 * @typedef {import("../artifact/contract.js").Parity & {worst_tokens: number}} DeviceParity
 */

/**
 * @param {{query: string, token_ids: number[]}[]} pairs
 * @param {number[]} expected
 * @param {ArrayLike<number>} actual
 * @param {(logits: ArrayLike<number>) => Float32Array} activate
 * @returns {DeviceParity}
 */
export function compare(pairs, expected, actual, activate) {
  const differences = expected.map((logit, i) => distance(logit, actual[i]));
  const expectedScores = activate(expected);
  const actualScores = activate(actual);
  const worst = differences.indexOf(Math.max(...differences));
  return {
    pairs: pairs.length,
    max_logit_difference: differences[worst],
    max_score_difference: Math.max(...expectedScores.map((score, i) => distance(score, actualScores[i]))),
    kendall_tau: kendallTau(expected, actual),
    top1_agreement: topAgreement(pairs, expected, actual),
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
 * @param {ArrayLike<number>} actual
 */
function topAgreement(pairs, expected, actual) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  pairs.forEach(({ query }, i) => groups.set(query, [...(groups.get(query) ?? []), i]));
  const ranked = [...groups.values()].filter((group) => group.length > 1);
  if (!ranked.length) return 1;
  /** @param {number[]} group @param {ArrayLike<number>} logits */
  const top = (group, logits) => group.reduce((best, i) => (logits[i] > logits[best] ? i : best));
  return ranked.filter((group) => top(group, expected) === top(group, actual)).length / ranked.length;
}
