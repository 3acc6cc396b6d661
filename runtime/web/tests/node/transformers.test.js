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
import { ARTIFACTS, expectedOf, NAMES } from "../artifacts.js";

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
    for (const dtype of /** @type {const} */ (["fp32", "q4"])) {
      const entries = expectedOf(name)[dtype].slice(0, 3);
      for (const Class of classes) {
        const model = await Class.from_pretrained(ARTIFACTS + name, { dtype, device: "cpu" });
        for (const { token_ids, logits, query, document } of entries) {
          const output = await run(model, token_ids);
          if (!logits) {
            assert.deepEqual(output.token_embeddings.dims.slice(0, 2), [1, token_ids.length]);
            continue;
          }
          // BERT's second text has another token type, which Transformers.js takes from its own tokenizer.
          if (["bert", "electra"].includes(name)) {
            const inputs = tokenizer(query, { text_pair: document });
            assert.deepEqual([...inputs.input_ids.data].map(Number), token_ids);
            assert.ok(Math.abs((await model(inputs)).logits.data[0] - Object.values(logits)[0][0]) < 1e-3);
          } else {
            assert.ok(Math.abs(output.logits.data[0] - Object.values(logits)[0][0]) < 1e-3);
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

test("the usage code of the Qwen3-Reranker-0.6B-ONNX card, with another id and the processor", async () => {
  const code = readFileSync(new URL("../card_usage.txt", import.meta.url), "utf8");
  const file = join(mkdtempSync(join(tmpdir(), "onnxrank-")), "card.mjs");
  const changes = {
    '"@huggingface/transformers"': JSON.stringify(import.meta.resolve("@huggingface/transformers")),
    '"onnx-community/Qwen3-Reranker-0.6B-ONNX"': JSON.stringify(`${ARTIFACTS}demo-lm`),
    '"webgpu"': '"cpu"',
  };
  writeFileSync(file, Object.entries(changes).reduce((text, [from, to]) => text.replace(from, to), code));
  const printed = execFileSync(process.execPath, [file], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  /** @type {{doc: string, score: number}[]} */
  const found = runInNewContext(printed);

  // Our graph with the vector W[yes] - W[no] on the same token ids.
  const tokenizer = await AutoTokenizer.from_pretrained(`${ARTIFACTS}demo-lm`);
  const model = await AutoModel.from_pretrained(`${ARTIFACTS}demo`, { dtype: "q4", device: "cpu" });
  const prompt = code.slice(code.indexOf("const SYSTEM_PROMPT"), code.indexOf("async function scoreDocument"));
  const buildPrompt = runInNewContext(`${prompt}; buildPrompt`);
  /** @type {number[]} */
  const ours = [];
  for (const { doc } of found) {
    const inputs = tokenizer(buildPrompt("What is the capital of France?", doc));
    const [logit] = (await model(inputs)).logits.data;
    ours.push(1 / (1 + Math.exp(-logit)));
  }
  await model.dispose();
  assert.equal(found.length, 3);
  found.forEach(({ score }, i) => assert.ok(Math.abs(score - ours[i]) < 5e-3, `${score} and ${ours[i]}`));
  assert.deepEqual([...ours].sort((a, b) => b - a), ours);
});

test("the vocabulary graph scores as the folded head does", async () => {
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
