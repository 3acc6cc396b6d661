/** Small pieces, against what Python's give. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { activate } from "../../src/activation.js";
import { maxsim } from "../../src/maxsim.js";
import { paddedBatches } from "../../src/packing.js";
import { compare, kendallTau } from "../../src/parity.js";
import { longestFirst } from "../../src/prompt.js";
import { Session } from "../../src/session.js";

test("batches", () => {
  const lengths = [30, 31, 5, 600, 30, 300, 7, 64, 64, 64];
  assert.deepEqual(paddedBatches(lengths, 2048), [[3], [5], [7, 8, 9], [1, 0, 4], [6, 2]]);
  assert.deepEqual(paddedBatches(lengths, 128), [[3], [5], [7], [8, 9], [1, 0, 4], [6, 2]]);
  assert.deepEqual(paddedBatches(new Array(7).fill(9), 27), [[0], [1, 2, 3], [4, 5, 6]]);
  assert.deepEqual(paddedBatches([], 10), []);
  assert.deepEqual(paddedBatches([100], 10), [[0]]);
});

test("what remains of two texts", () => {
  assert.deepEqual(longestFirst(5, 5, 20), [5, 5]);
  assert.deepEqual(longestFirst(30, 5, 20), [15, 5]);
  assert.deepEqual(longestFirst(5, 30, 20), [5, 15]);
  assert.deepEqual(longestFirst(30, 30, 21), [10, 11]);
  assert.deepEqual(longestFirst(30, 30, 20), [10, 10]);
  assert.deepEqual(longestFirst(0, 30, 20), [0, 20]);
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
});

test("parity is no parity where a score is no number", () => {
  const pairs = [{ query: "a", token_ids: [1] }, { query: "a", token_ids: [1, 2] }];
  const found = compare(pairs, [1, 2], [1, NaN], (x) => Float32Array.from(x));
  assert.equal(found.max_logit_difference, Infinity);
  assert.equal(found.worst_tokens, 2);
  assert.equal(compare(pairs, [1, 2], [2, 1], (x) => Float32Array.from(x)).top1_agreement, 0);
  assert.deepEqual([kendallTau([1, 2, 3], [4, 5, 6]), kendallTau([1, 2, 3], [6, 5, 4]), kendallTau([1, 1], [2, 3])], [1, -1, 1]);
});

test("unpacked weights stand where the graph expects them, and loading gives their memory back", async () => {
  const outputs = { first: new Int8Array(70).fill(1), second: new Float32Array(3).fill(2) };
  /** What ONNX Runtime was handed at each load. @type {{path: string, data: Uint8Array}[][]} */
  const loads = [];
  /** @type {Uint8Array[]} */
  const copies = [];
  const ort = {
    env: {},
    InferenceSession: {
      create: async (/** @type {unknown} */ _, /** @type {any} */ { externalData }) => {
        loads.push(externalData);
        copies.push(externalData[externalData.length - 1].data.slice());
        const run = async () => Object.fromEntries(Object.entries(outputs).map(([name, data]) => [name, { data }]));
        return { outputNames: Object.keys(outputs), run, release: async () => undefined };
      },
    },
  };
  const bytes = new Uint8Array(10);
  const graph = { model: bytes, data: [{ path: "a", data: new Uint8Array(5) }], unpack: bytes };
  await Session.create(/** @type {any} */ (ort), graph, "wasm", undefined);
  assert.deepEqual(loads.map((files) => files.map(({ path }) => path)), [["a"], ["a", "unpacked_when_loaded"]]);
  assert.deepEqual([copies[1].length, copies[1][69], copies[1][70]], [192, 1, 0]);
  assert.deepEqual([...new Float32Array(copies[1].buffer, 128, 3)], [2, 2, 2]);
  const freed = [...loads[1].map(({ data }) => data), outputs.first, outputs.second];
  assert.deepEqual(freed.map(({ byteLength }) => byteLength), [0, 0, 0, 0]);
});
