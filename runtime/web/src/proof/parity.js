/**
 * How close two lists of logits are, in the terms that matter for ranking.
 */

/**
 * kendall_tau: mean over queries. worst_tokens: the token count of the pair that differs most.
 * @typedef {{
 *   pairs: number,
 *   max_logit_difference: number,
 *   max_score_difference: number,
 *   kendall_tau: number,
 *   top1_agreement: number,
 *   worst_tokens: number,
 * }} DeviceParity
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
  const groups = groupsOf(pairs);
  /** @param {(group: number[]) => number} measure */
  const mean = (measure) => (groups.length ? groups.reduce((sum, group) => sum + measure(group), 0) / groups.length : 1);
  return {
    pairs: pairs.length,
    max_logit_difference: differences[worst],
    max_score_difference: Math.max(...expectedScores.map((score, i) => distance(score, actualScores[i]))),
    kendall_tau: mean((group) => kendallTau(pick(expected, group), pick(actual, group))),
    top1_agreement: mean((group) => Number(top(group, expected) === top(group, actual))),
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
 * The indices of the pairs of each query with several documents.
 * @param {{query: string}[]} pairs
 */
function groupsOf(pairs) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  pairs.forEach(({ query }, i) => groups.set(query, [...(groups.get(query) ?? []), i]));
  return [...groups.values()].filter((group) => group.length > 1);
}

/**
 * @param {ArrayLike<number>} values
 * @param {number[]} group
 */
function pick(values, group) {
  return group.map((i) => values[i]);
}

/**
 * @param {number[]} group
 * @param {ArrayLike<number>} logits
 */
function top(group, logits) {
  return group.reduce((best, i) => (logits[i] > logits[best] ? i : best));
}
