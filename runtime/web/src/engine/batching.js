/**
 * Which texts are scored together: rows of similar length, padded to the longest, under a token budget.
 */
import { RUN_TOKENS } from "../artifact/contract.js";

/**
 * The indices of equal keys, in the order in which the keys first occur.
 * @param {string[]} keys
 * @returns {number[][]}
 */
export function grouped(keys) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  keys.forEach((key, i) => {
    const group = groups.get(key);
    if (group) group.push(i);
    else groups.set(key, [i]);
  });
  return [...groups.values()];
}

/**
 * Group indices, longest first, so that rows x longest row is at most `budget` (or the group has one row) padding
 * and runs together cost least.
 * @param {number[]} lengths
 * @param {number} budget In tokens.
 * @returns {number[][]}
 */
export function paddedBatches(lengths, budget) {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a]);
  // The least cost of the first `end` texts, and where their last group starts.
  const costs = [0];
  const starts = [0];
  for (let end = 1; end <= order.length; end++) {
    let start = end - 1;
    let best = costs[start] + lengths[order[start]];
    let bestStart = start;
    while (start > 0 && (end - start + 1) * lengths[order[start - 1]] <= budget) {
      start -= 1;
      const cost = costs[start] + (end - start) * lengths[order[start]];
      if (cost < best || (cost === best && start < bestStart)) [best, bestStart] = [cost, start];
    }
    costs.push(best + RUN_TOKENS);
    starts.push(bestStart);
  }
  const groups = [];
  for (let end = order.length; end > 0; end = starts[end]) groups.push(order.slice(starts[end], end));
  return groups.reverse();
}
