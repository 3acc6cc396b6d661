/** Kendall's tau, agreement on the best document, and scores that are not numbers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, kendallTau } from "../../../src/proof/parity.js";

test("a score that is not a number differs infinitely", () => {
  const pairs = [{ query: "a", token_ids: [1] }, { query: "a", token_ids: [1, 2] }];
  const parity = compare(pairs, [1, 2], [1, NaN], (x) => Float32Array.from(x));
  assert.equal(parity.max_logit_difference, Infinity);
  assert.equal(parity.worst_tokens, 2);
  assert.equal(compare(pairs, [1, 2], [2, 1], (x) => Float32Array.from(x)).top1_agreement, 0);
  const several = ["a", "a", "b", "b"].map((query) => ({ query, token_ids: [1] }));
  const unchanged = /** @param {ArrayLike<number>} x */ (x) => Float32Array.from(x);
  // The order of documents of different queries does not count.
  assert.equal(compare(several, [1, 2, 3, 4], [5, 6, 1, 2], unchanged).kendall_tau, 1);
  assert.equal(compare(several, [1, 2, 3, 4], [1, 2, 4, 3], unchanged).kendall_tau, 0);
  assert.deepEqual([kendallTau([1, 2, 3], [4, 5, 6]), kendallTau([1, 2, 3], [6, 5, 4]), kendallTau([1, 1], [2, 3])], [1, -1, 1]);
});
