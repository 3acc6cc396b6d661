/** Which variant and which graph a device gets, from the manifest alone. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MANIFEST } from "../../../src/artifact/contract.js";
import { chooseGraph, chooseVariant, graphFiles } from "../../../src/artifact/variants.js";
import { textOf } from "../../artifacts.js";

const WASM = /** @type {const} */ ({ device: "wasm", float16: false, browser: true });
const GPU = /** @type {const} */ ({ device: "webgpu", float16: false, browser: true });

test("a model too large for a browser", () => {
  const manifest = JSON.parse(textOf("demo", MANIFEST));
  manifest.files["onnx/model.onnx_data"].bytes = 2_700_000_000;
  assert.throws(() => chooseVariant(manifest, "fp32", WASM), /takes 2700 MB.*holds about 2684 MB; take a smaller dtype of .*q4/);
  assert.equal(chooseVariant(manifest, undefined, WASM), "int8");
  assert.throws(() => chooseVariant(manifest, "fp32", GPU), /takes 2700 MB/);
  assert.throws(() => chooseVariant(manifest, "q4f16", GPU), /no shader-f16/);
});

test("names and preferences", () => {
  const manifest = JSON.parse(textOf("demo", MANIFEST));
  assert.equal(chooseVariant(manifest, "q8", WASM), "int8");
  assert.equal(chooseVariant(manifest, undefined, GPU), "q4");
  assert.equal(chooseVariant(manifest, undefined, { ...GPU, float16: true }), "q4f16");
});

test("which graph a device runs", () => {
  const manifest = JSON.parse(textOf("demo", MANIFEST));
  /** @param {import("../../../src/artifact/variants.js").Target} target @param {string} dtype */
  const names = (target, dtype) => {
    const graph = chooseGraph(manifest.variants[dtype], manifest, target);
    const { model, requantize } = graphFiles(manifest, manifest.variants[dtype], graph, undefined);
    return [graph, model.name, requantize?.name];
  };
  assert.deepEqual(names(WASM, "int8"), ["prefix", "onnx/prefix_quantized.onnx", undefined]);
  assert.deepEqual(names(WASM, "q4"), ["prefix", "onnx/prefix_q4.onnx", "onnx/requantize_q4.onnx"]);
  assert.deepEqual(names(GPU, "q4"), ["padded", "onnx/model_q4.onnx", undefined]);
  // Requantized, it would not fit.
  manifest.files["onnx/model_q4.onnx_data"].bytes = 600_000_000;
  assert.deepEqual(names(WASM, "q4"), ["padded", "onnx/model_q4.onnx", undefined]);
  assert.deepEqual(names({ ...WASM, browser: false }, "q4"), ["prefix", "onnx/prefix_q4.onnx", "onnx/requantize_q4.onnx"]);
});
