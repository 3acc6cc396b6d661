/**
 * Every family on WASM and on WebGPU, against Python's scores of the same variant: 1 to 600 tokens, by the
 * prefix graph, and by the padded graph in batches padded on either side; batch against single.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { allowed, expectedOf, NAMES, scoresOf, textOf } from "../artifacts.js";
import { hidePrefix, hideSubgroups, pages, scoreIn } from "./page.js";

const open = pages();
// WebGPU in software takes seconds for each shape, and has no float16: one checkpoint of each family and body.
const ON_GPU = {
  fp32: ["demo", "qwen3-reranker", "matrix-v6", "mmbert", "colbert", "bert", "zerank"],
  q4: ["demo", "qwen3-classifier", "mmbert", "colbert"],
  int8: ["demo"],
};
// Places from the end of the expected texts: 1, 33 and 600 words.
const LENGTHS = [11, 7, 1];

/**
 * @param {"wasm" | "webgpu"} device
 * @param {string} name
 * @param {string} dtype
 * @param {boolean} [prefix] Whether WASM runs the prefix graph, where there is one.
 */
async function compare(device, name, dtype, prefix = true) {
  const all = expectedOf(name)[dtype];
  const few = LENGTHS.map((place) => all[all.length - place]);
  const entries = device === "webgpu" ? few : [...all.slice(0, 12), ...all.slice(-11)];
  const graph = { prefix: prefix && device === "wasm" };
  const scores = scoresOf(entries, graph);
  // The scores of a trained model differ less than those of random weights; on WASM, MatMulNBits differed by 5.4e-3.
  const trained = name === "demo" && (prefix || dtype !== "q4");
  // The limit is that of all texts, because the scores of few may lie close together.
  const limit = Math.min(allowed(dtype, scoresOf(all, graph), device), trained ? 5e-3 : Infinity);
  const page = await open();
  if (device === "webgpu") await hideSubgroups(page);
  if (!prefix) await hidePrefix(page);
  const found = await scoreIn(page, {
    name,
    options: { device, dtype },
    pairs: entries.map(({ query, document }) => /** @type {[string, string]} */ ([query, document])),
    late: entries[0].score !== undefined,
  });
  await page.close();
  assert.deepEqual([found.device, found.notes], [device, []]);
  const lengths = [found.together, found.alone, found.left].map((each) => each.length);
  assert.deepEqual(lengths, [scores.length, scores.length - 1, scores.length - 1]);
  for (const run of /** @type {const} */ (["together", "alone", "left"])) {
    const worst = Math.max(...found[run].map((score, i) => Math.abs(score - scores[i])));
    assert.ok(worst <= limit, `${run}: off by ${worst}`);
  }
}

// Each test of WASM takes one core.
describe("wasm", { concurrency: 2 }, () => {
  for (const name of NAMES) {
    const { variants } = JSON.parse(textOf(name, "reranker.json"));
    for (const dtype of Object.keys(expectedOf(name))) {
      test(`${name}, ${dtype}`, () => compare("wasm", name, dtype));
      // float32 is enough to show what differs between families.
      const both = variants[dtype].prefix && (dtype === "fp32" || name === "demo");
      if (both) test(`${name}, ${dtype}, padded graph`, () => compare("wasm", name, dtype, false));
    }
  }
});

describe("webgpu", () => {
  for (const [dtype, names] of Object.entries(ON_GPU)) {
    for (const name of names) test(`${name}, ${dtype}`, () => compare("webgpu", name, dtype));
  }
});
