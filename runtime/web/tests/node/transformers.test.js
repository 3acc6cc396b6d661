/** Artifacts under Transformers.js alone: its own classes open them as they are, and give the same numbers. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import {
  AutoModel,
  AutoModelForSequenceClassification,
  AutoTokenizer,
  Tensor,
} from "@huggingface/transformers";
import { Reranker } from "../../src/node.js";
import { ARTIFACTS, expectedOf, NAMES, ofExit } from "../artifacts.js";

// What onnxrank sets by itself: without it, x86 processors without VNNI compute int8 wrongly.
const SESSION_OPTIONS = { extra: { session: { x64quantprecision: "1" } } };
const CLASSIFIERS = ["bert", "xlm-roberta", "modernbert", "electra"];

/**
 * @param {any} model
 * @param {number[]} ids
 */
async function run(model, ids) {
  const shape = [1, ids.length];
  /** @param {number[]} values */
  const tensor = (values) => new Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  return model({ input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) });
}

for (const name of NAMES.filter((name) => name !== "demo-lm")) {
  test(`${name}: AutoTokenizer and AutoModel`, async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(ARTIFACTS + name);
    assert.ok(tokenizer("text").input_ids.size > 0);
    const classes = CLASSIFIERS.includes(name) ? [AutoModel, AutoModelForSequenceClassification] : [AutoModel];
    for (const [dtype, variant] of /** @type {const} */ ([["fp32", "fp32"], ["q8", "int8"], ["q4", "q4"]])) {
      const entries = expectedOf(name)[variant].slice(0, 3);
      for (const Class of classes) {
        const options = /** @type {const} */ ({ dtype, device: "cpu", session_options: SESSION_OPTIONS });
        const model = await Class.from_pretrained(ARTIFACTS + name, options);
        for (const { token_ids, logits, query, document } of entries) {
          const output = await run(model, token_ids);
          if (!logits) {
            assert.deepEqual(output.token_embeddings.dims.slice(0, 2), [1, token_ids.length]);
            continue;
          }
          // BERT's second text has another token type, which Transformers.js gives by itself only where
          // tokenizer_config.json names BertTokenizer.
          if (["bert", "electra"].includes(name)) {
            const inputs = tokenizer(query, { text_pair: document, return_token_type_ids: true });
            assert.deepEqual([...inputs.input_ids.data].map(Number), token_ids);
            assert.ok(Math.abs((await model(inputs)).logits.data[0] - ofExit(logits)[0]) < 1e-3);
          } else {
            assert.ok(Math.abs(output.logits.data[0] - ofExit(logits)[0]) < 1e-3);
          }
        }
        await model.dispose();
      }
    }
  });
}

test("config.json names the dtype for the device", async () => {
  const model = await AutoModel.from_pretrained(`${ARTIFACTS}demo`);
  assert.deepEqual(Object.values(model.sessions).map((/** @type {any} */ session) => session.config.dtype), ["q8"]);
  await model.dispose();
});

// In q4 the vocabulary's projection has 4 bits, and our one vector of it float32: their scores differ by up to 0.11.
for (const [dtype, allowed] of /** @type {const} */ ([["q4", 0.15], ["fp32", 1e-4]])) {
  test(`the usage code of the Qwen3-Reranker-0.6B-ONNX card, with another id, the processor and ${dtype}`, async () => {
    const code = readFileSync(new URL("../card_usage.txt", import.meta.url), "utf8");
    const found = runCard(code, dtype);
    // Our graph on the same token ids.
    const tokenizer = await AutoTokenizer.from_pretrained(`${ARTIFACTS}demo-lm`);
    const model = await AutoModel.from_pretrained(`${ARTIFACTS}demo`, { dtype, device: "cpu" });
    const prompt = code.slice(code.indexOf("const SYSTEM_PROMPT"), code.indexOf("async function scoreDocument"));
    const buildPrompt = runInNewContext(`${prompt}; buildPrompt`);
    /** @type {number[]} */
    const ours = [];
    for (const { doc } of found) {
      const [logit] = (await model(tokenizer(buildPrompt("What is the capital of France?", doc)))).logits.data;
      ours.push(1 / (1 + Math.exp(-logit)));
    }
    await model.dispose();
    assert.equal(found.length, 3);
    found.forEach(({ score }, i) => assert.ok(Math.abs(score - ours[i]) < allowed, `${score} and ${ours[i]}`));
    assert.deepEqual([...ours].sort((a, b) => b - a), ours);
  });
}

/**
 * @param {string} code
 * @param {string} dtype
 * @returns {{doc: string, score: number}[]} What it prints.
 */
function runCard(code, dtype) {
  const library = import.meta.resolve("@huggingface/transformers");
  const changes = {
    '"@huggingface/transformers"': JSON.stringify(library),
    '"onnx-community/Qwen3-Reranker-0.6B-ONNX"': JSON.stringify(`${ARTIFACTS}demo-lm`),
    '"webgpu"': '"cpu"',
    '"q4"': JSON.stringify(dtype),
  };
  const file = join(mkdtempSync(join(tmpdir(), "onnxrank-")), "card.mjs");
  writeFileSync(file, Object.entries(changes).reduce((text, [from, to]) => text.replace(from, to), code));
  // Transformers.js must not look for missing files on the network.
  const offline = `data:text/javascript,import { env } from "${library}"; env.allowRemoteModels = false;`;
  const options = { encoding: /** @type {const} */ ("utf8"), stdio: /** @type {any} */ (["ignore", "pipe", "ignore"]) };
  return runInNewContext(execFileSync(process.execPath, ["--import", offline, file], options));
}

test("the graph of the vocabulary scores as the folded head does", async () => {
  const pairs = /** @type {[string, string][]} */ ([["sort an array", "numpy.sort: sorts"], ["sort an array", "numpy.mean"]]);
  /** @type {Float32Array[]} */
  const scores = [];
  for (const name of ["demo", "demo-lm"]) {
    const model = await Reranker.from_pretrained(ARTIFACTS + name, { dtype: "fp32" });
    scores.push(await model.predict(pairs));
    await model.dispose();
  }
  scores[0].forEach((score, i) => assert.ok(Math.abs(score - scores[1][i]) < 1e-5));
});
