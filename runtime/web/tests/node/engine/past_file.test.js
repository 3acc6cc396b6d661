/** Keys and values that come from a file: its numbers, its size, and when they are used. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MANIFEST } from "../../../src/artifact/contract.js";
import { float16, readPast } from "../../../src/engine/past_file.js";
import { PrefixScorer } from "../../../src/engine/prefix.js";
import { Reranker } from "../../../src/node.js";
import { changed } from "../../changed_artifact.js";
import { refuses } from "../../refuses.js";

const SHAPE = { layers: 1, heads: 2, head_dim: 3 };

test("float16", () => {
  const values = { 0x0000: 0, 0x0001: 2 ** -24, 0x03ff: 1023 * 2 ** -24, 0x0400: 2 ** -14, 0x3555: 0.333251953125 };
  const large = { 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0xfbff: -65504, 0x8001: -(2 ** -24) };
  for (const [bits, value] of Object.entries({ ...values, ...large })) assert.equal(float16(Number(bits)), value);
});

test("the layout is Python's", () => {
  // 1, 2, 3 and so on as float16, at an odd place of its buffer.
  const bits = [0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600, 0x4700, 0x4800, 0x4880, 0x4900, 0x4980, 0x4a00];
  const content = new Uint8Array([0, ...bits.flatMap((it) => [it & 255, it >> 8])]).subarray(1);
  const past = readPast({ file: "past", token_ids: [5] }, content, SHAPE);
  assert.deepEqual(Object.keys(past), ["past_key_values.0.key", "past_key_values.0.value"]);
  assert.deepEqual(Object.values(past).map(({ dims }) => dims), [[2, 1, 3], [2, 1, 3]]);
  assert.deepEqual(Object.values(past).map(({ data }) => [...data]), [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]);
});

test("a file of another size is refused", async () => {
  const folder = changed("onnx/fixed_past.bin", (text) => text.slice(2));
  const manifest = JSON.parse(readFileSync(join(folder, MANIFEST), "utf8"));
  const bytes = readFileSync(join(folder, "onnx/fixed_past.bin"));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  manifest.files["onnx/fixed_past.bin"] = { sha256, bytes: bytes.length };
  writeFileSync(join(folder, MANIFEST), JSON.stringify(manifest));
  const open = () => Reranker.from_pretrained(folder, { dtype: "q4" });
  await refuses(open, "ArtifactError", /fixed_past.bin has \d+ bytes, and the keys and values of \d+ tokens take \d+; export/);
});

test("only another instruction is computed", async () => {
  /** @type {string[]} */
  const computed = [];
  const session = {
    run: async (/** @type {string[]} */ outputs, /** @type {any} */ { input_ids, ...past }) => {
      const ids = [...input_ids.data].map(Number);
      if (outputs[0] === "logits") return [{ data: Float32Array.from(past["past_key_values.0.key"].data.slice(0, 1)) }];
      computed.push(ids.join());
      return outputs.map(() => ({ data: new Float32Array(6 * ids.length).fill(9) }));
    },
  };
  const one = { data: new Float32Array(12).fill(4), dims: [2, 2, 3] };
  const past = { "past_key_values.0.key": one, "past_key_values.0.value": one };
  const scorer = new PrefixScorer(/** @type {any} */ (session), SHAPE, "cpu", { key: "1,2", past });
  const pair = (/** @type {number[]} */ instruction) => ({ instruction, query: [7], document: [8], token_ids: [], truncated: false });
  assert.deepEqual([...(await scorer.score([pair([1, 2]), pair([1, 3])]))], [4, 9]);
  assert.deepEqual(computed, ["1,3"]);
});
