/** Batches, activations and MaxSim, against what Python's give. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { activate } from "../../../src/engine/activation.js";
import { paddedBatches } from "../../../src/engine/batching.js";
import { maxsim } from "../../../src/engine/maxsim.js";

test("batches", () => {
  const lengths = [30, 31, 5, 600, 30, 300, 7, 64, 64, 64];
  assert.deepEqual(paddedBatches(lengths, 2048), [[3], [5], [7, 8, 9], [1, 0, 4], [6, 2]]);
  assert.deepEqual(paddedBatches(lengths, 128), [[3], [5], [7], [8, 9], [1, 0, 4], [6, 2]]);
  assert.deepEqual(paddedBatches(new Array(7).fill(9), 27), [[0], [1, 2, 3], [4, 5, 6]]);
  assert.deepEqual(paddedBatches([], 10), []);
  assert.deepEqual(paddedBatches([100], 10), [[0]]);
});

test("activations keep small probabilities and large logits", () => {
  const found = activate([-200, -3.5, 0, 3.5, 200], "sigmoid", 0.2);
  const expected = [4.24835413113866e-18, 0.3318122327327728, 0.5, 0.6681877970695496, 1];
  found.forEach((score, i) => assert.ok(Math.abs(score / expected[i] - 1) < 1e-6));
  assert.deepEqual([...activate([-1000, 1000], "sigmoid")], [0, 1]);
  assert.deepEqual([...activate([-2, 3], "identity", 0.2)], [-2, 3]);
});

test("MaxSim", () => {
  const query = { data: Float32Array.of(1, 0, 0, 1), dim: 2 };
  const document = { data: Float32Array.of(0.5, 0.5, 1, 0, 0, -1), dim: 2 };
  const empty = { data: new Float32Array(0), dim: 2 };
  const opposite = { data: Float32Array.of(-0.5, -1), dim: 2 };
  assert.deepEqual([...maxsim(query, [document, empty, opposite])], [1.5, -Infinity, -1.5]);
  const wide = { data: Float32Array.of(1, 0, 0), dim: 3 };
  assert.throws(() => maxsim(query, [document, wide]), { name: "InputError", message: /documents\[1\] has vectors of 3 numbers, and query of 2;/ });
  for (const wrong of [undefined, null, 5, {}, { data: query.data, dim: 0 }, { data: query.data, dim: 3 }, { dim: 2 }]) {
    const any = /** @type {any} */ (wrong);
    assert.throws(() => maxsim(any, [document]), { name: "InputError", message: /^query is .*; give vectors from encode/ });
    assert.throws(() => maxsim(query, [any]), { name: "InputError", message: /^documents\[0\] is .*; give vectors from encode/ });
    assert.throws(() => maxsim(query, any), { name: "InputError", message: /^documents is .*; give a list of vectors/ });
  }
});
