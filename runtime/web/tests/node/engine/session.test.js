/** How a session is made. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOCATION } from "../../../src/artifact/contract.js";
import { Session } from "../../../src/engine/session.js";

test("requantized weights stand where the graph expects them, and loading gives their memory back", async () => {
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
  const graph = { model: bytes, data: [{ path: "a", data: new Uint8Array(5) }], requantize: bytes, past: null };
  await Session.create(/** @type {any} */ (ort), graph, "wasm", undefined);
  assert.deepEqual(loads.map((files) => files.map(({ path }) => path)), [["a"], ["a", LOCATION]]);
  assert.deepEqual([copies[1].length, copies[1][69], copies[1][70]], [192, 1, 0]);
  assert.deepEqual([...new Float32Array(copies[1].buffer, 128, 3)], [2, 2, 2]);
  const freed = [...loads[1].map(({ data }) => data), outputs.first, outputs.second];
  assert.deepEqual(freed.map(({ byteLength }) => byteLength), [0, 0, 0, 0]);
});

test("in Node, byte products are exact on every processor", async () => {
  /** @type {any[]} */
  const options = [];
  const ort = { env: {}, InferenceSession: { create: async (/** @type {unknown} */ _, /** @type {any} */ given) => options.push(given) } };
  const graph = { model: "model.onnx", data: [], requantize: null, past: null };
  for (const device of /** @type {const} */ (["cpu", "wasm"])) {
    await Session.create(/** @type {any} */ (ort), graph, device, undefined);
  }
  assert.deepEqual(options.map(({ extra }) => extra), [{ session: { x64quantprecision: "1" } }, undefined]);
});
