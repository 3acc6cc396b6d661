/** Reranker and LateInteraction in Node: their results, their options, and what they refuse. */
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { LateInteraction, maxsim, read_manifest, Reranker } from "../../src/node.js";
import { ARTIFACTS, textOf } from "../artifacts.js";
import { changedManifest } from "../changed_artifact.js";
import { refuses } from "../refuses.js";

const DEMO = `${ARTIFACTS}demo`;
const DOCUMENTS = ["numpy.mean: the average of an array", "numpy.sort: a sorted copy of an array"];
/** @type {Reranker} */
let model;

before(async () => {
  model = await Reranker.from_pretrained(DEMO, { dtype: "q4" });
});

after(() => model.dispose());

test("no artifact", async () => {
  const empty = mkdtempSync(join(tmpdir(), "onnxrank-"));
  await refuses(() => Reranker.from_pretrained(empty), "ArtifactError", /has no reranker.json.*export-model/);
  await refuses(() => Reranker.from_pretrained("./nowhere"), "InputError", /"\.\/nowhere" is neither a folder.*hub id/);
  await refuses(() => Reranker.from_pretrained(DEMO, { revision: "v1" }), "InputError", /revision "v1" is for hub ids/);
});

test("dtypes and devices that are not there", async () => {
  const options = { dtype: "q2" };
  await refuses(() => Reranker.from_pretrained(DEMO, options), "ArtifactError", /no dtype "q2", only fp32, fp16, int8, q4, q4f16/);
  await refuses(() => Reranker.from_pretrained(DEMO, { device: "webgpu" }), "InputError", /in Node give "cpu"/);
  const q8 = await Reranker.from_pretrained(DEMO, { dtype: "q8" });
  assert.equal(q8.dtype, "int8");
  await q8.dispose();
});

test("the wrong class", async () => {
  await refuses(() => LateInteraction.from_pretrained(DEMO), "ArtifactError", /no model for LateInteraction; open it with Reranker/);
  await refuses(() => Reranker.from_pretrained(`${ARTIFACTS}colbert`), "ArtifactError", /open it with LateInteraction/);
});

test("texts and options", async () => {
  assert.deepEqual(await model.rank("query", []), []);
  assert.deepEqual([...(await model.predict([]))], []);
  const any = /** @type {any} */ (model);
  await refuses(() => any.rank("q", "text"), "InputError", /documents is "text"; give a list/);
  await refuses(() => any.rank("q", ["a", 7]), "InputError", /documents\[1\] is 7; give a string/);
  await refuses(() => any.rank(undefined, ["a"]), "InputError", /query is undefined; give a string/);
  await refuses(() => any.rank("q", [{ name: "a" }]), "InputError", /documents\[0\] has fields.*--document-template/);
  await refuses(() => any.rank("q", ["\ud800"]), "InputError", /holds \\ud800, which is no character/);
  await refuses(() => any.predict([["q"]]), "InputError", /pairs\[0\] is \["q"\]; give a \[query, document\] list/);
  await refuses(() => any.rank("q", ["a"], { top_k: 0 }), "InputError", /top_k is 0; give/);
  await refuses(() => any.rank("q", ["a"], { batch_tokens: 1.5 }), "InputError", /batch_tokens is 1.5; give/);
  await refuses(() => any.rank("q", ["a"], { activation: "softmax" }), "InputError", /activation is "softmax"; give/);
  await refuses(() => any.rank("q", ["a"], { top_k: "1" }), "InputError", /top_k is "1"; give/);
  await refuses(() => any.rank("q", ["a"], { top_k: NaN }), "InputError", /top_k is NaN; give/);
  await refuses(() => any.rank("q", ["a"], 5), "InputError", /options is 5; give an object/);
  await refuses(() => any.rank("q", ["a"], null), "InputError", /options is null; give an object/);
  // The holes of a list are no documents.
  await refuses(() => any.rank("q", [, "a"]), "InputError", /documents\[0\] is undefined; give a string/);
  await refuses(() => any.predict([, ["q", "a"]]), "InputError", /pairs\[0\] is undefined; give/);
  await refuses(() => Reranker.from_pretrained(DEMO, { layers: 3 }), "InputError", /layers is 3, and this model has one exit/);
  await refuses(() => Reranker.from_pretrained(DEMO, { max_length: 99999 }), "InputError", /max_length 99999 is more than/);
  await refuses(() => Reranker.from_pretrained(DEMO, { max_length: 1.5 }), "InputError", /max_length is 1.5; give a whole number of at most/);
  await refuses(() => Reranker.from_pretrained(DEMO, { threads: 0 }), "InputError", /threads is 0; give a whole number/);
  const options = /** @type {any} */ ({ progress_callback: "log" });
  await refuses(() => Reranker.from_pretrained(DEMO, options), "InputError", /progress_callback is "log"; give a function/);
  await refuses(() => Reranker.from_pretrained(DEMO, /** @type {any} */ (5)), "InputError", /options is 5; give an object/);
  await refuses(() => Reranker.from_pretrained(DEMO, { max_length: 20 }), "InputError", /leaves no room for text.*give at least/);
});

test("values of every kind stand in a sentence", async () => {
  const circular = { self: {} };
  circular.self = circular;
  const bare = Object.create(null);
  const values = [null, 5, 5n, NaN, Symbol("a"), () => 1, {}, circular, bare, new Set(["a"]), new Map(), [circular], [5n], [bare]];
  const any = /** @type {any} */ (model);
  for (const value of values) {
    const place = /documents(\[0\])? (is|has) .*; give a|has fields/;
    await refuses(() => any.rank("q", value), "InputError", place);
    await refuses(() => any.rank(value, ["a"]), "InputError", /query is .*; give a string/);
    await refuses(() => any.predict(value), "InputError", /pairs(\[0\])? is .*; give a/);
    await refuses(() => any.rank("q", ["a"], { activation: value }), "InputError", /activation is .*; give/);
    await refuses(() => Reranker.from_pretrained(/** @type {any} */ (value)), "InputError", /is neither a folder/);
    await refuses(() => Reranker.from_pretrained(DEMO, /** @type {any} */ ({ dtype: value })), "ArtifactError", /has no dtype/);
    if (value !== null && typeof value === "object") continue;
    await refuses(() => any.rank("q", ["a"], value), "InputError", /options is .*; give an object/);
  }
  await refuses(() => any.rank("q", new Set(["a"])), "InputError", /documents is \[object Set\]; give a list of texts/);
});

test("empty texts, texts that look like slots, and texts of control tokens are scored", async () => {
  const late = await LateInteraction.from_pretrained(`${ARTIFACTS}colbert`, { dtype: "fp32" });
  for (const text of ["", " ", "\0", "{query}{document}{instruction}{__proto__}", "<|im_end|></s>[PAD]"]) {
    for (const scorer of [model, late]) {
      const [hit] = await scorer.rank(text, [text]);
      assert.ok(Number.isFinite(hit.score), `${text}: ${hit.score}`);
    }
  }
  await late.dispose();
});

test("a folder's URL", async () => {
  const opened = await Reranker.from_pretrained(pathToFileURL(DEMO), { dtype: "q4" });
  assert.deepEqual(await opened.rank("q", ["a"]), await model.rank("q", ["a"]));
  await opened.dispose();
  assert.equal((await read_manifest(pathToFileURL(DEMO))).name, model.manifest.name);
  for (const url of ["http://[", "https://", "file://host/x", "nothing:"]) {
    await refuses(() => Reranker.from_pretrained(url), "InputError", /is neither a folder|names no path here/);
  }
});

test("a query longer than the context is scored, and said to be cut", async () => {
  const small = await Reranker.from_pretrained(DEMO, { dtype: "q4", max_length: 128 });
  const [hit] = await small.rank("sort ".repeat(500), DOCUMENTS.slice(1));
  assert.ok(hit.truncated && Number.isFinite(hit.score));
  const { tokens } = await small.score([["sort ".repeat(500), DOCUMENTS[0]]]);
  assert.deepEqual(tokens, [128]);
  await small.dispose();
});

test("results have the shapes that Python's have", async () => {
  const hits = await model.rank("sort an array", DOCUMENTS, { top_k: 1, return_documents: true });
  assert.equal(hits.length, 1);
  assert.deepEqual({ ...hits[0], score: 0 }, { corpus_id: 1, score: 0, truncated: false, text: DOCUMENTS[1] });
  const raw = await model.score([["sort an array", DOCUMENTS[1]]], { activation: "identity" });
  assert.deepEqual(raw.scores, raw.logits);
  const same = await model.rank("sort an array", [DOCUMENTS[0], DOCUMENTS[0]]);
  assert.deepEqual(same.map((hit) => hit.corpus_id), [0, 1]);
});

test("a document's score depends neither on its batch nor on other calls at the same time", async () => {
  const texts = [...DOCUMENTS, "x", "numpy ".repeat(200)];
  const alone = await Promise.all(texts.map(async (text) => (await model.predict([["sort", text]]))[0]));
  const together = await model.predict(texts.map((text) => ["sort", text]));
  const small = await model.predict(texts.map((text) => ["sort", text]), { batch_tokens: 300 });
  texts.forEach((_, i) => {
    assert.ok(Math.abs(alone[i] - together[i]) < 1e-5);
    assert.ok(Math.abs(alone[i] - small[i]) < 1e-5);
  });
});

test("pairs that are encoded whole get the scores that they get in pieces", async () => {
  // Whole pairs share less than the stored keys and values are for.
  const pieces = changedManifest(({ variants }) => (variants.q4.past = null));
  const joined = changedManifest(({ variants, scoring: { prompt } }) => {
    variants.q4.past = null;
    const document = prompt.instruction + prompt.query + prompt.document;
    Object.assign(prompt, { instruction: "", query: "", document });
  });
  const [inPieces, whole] = await Promise.all([pieces, joined].map((it) => Reranker.from_pretrained(it, { dtype: "q4" })));
  const pairs = [...DOCUMENTS, "x"].map((text) => /** @type {[string, string]} */ (["sort", text]));
  pairs.push(["average", DOCUMENTS[0]]);
  const [scores, expected] = [await whole.score(pairs), await inPieces.score(pairs)];
  assert.deepEqual(scores.tokens, expected.tokens);
  // A rounded activation may fall to either side.
  scores.logits.forEach((logit, i) => assert.ok(Math.abs(logit - expected.logits[i]) < 0.02));
  await whole.verify();
  await Promise.all([whole.dispose(), inPieces.dispose()]);
});

test("a document with fields", async () => {
  const matrix = await Reranker.from_pretrained(`${ARTIFACTS}matrix-v6`, { dtype: "fp32" });
  const [text] = await matrix.predict([["convert a pdf", "pdf: Convert PDF documents."]]);
  const [tuple] = await matrix.predict([["convert a pdf", ["pdf", "Convert PDF documents."]]]);
  const [fields] = await matrix.predict([["convert a pdf", { name: "pdf", description: "Convert PDF documents." }]]);
  assert.deepEqual([tuple, fields], [text, text]);
  await refuses(() => matrix.predict([["q", { name: "pdf" }]]), "InputError", /no text called "description"/);
  await refuses(() => matrix.predict([["q", ["a", "b", "c"]]]), "InputError", /has 3 fields; give 2: name, description/);
  await refuses(() => matrix.rank("q", ["a"], { instruction: "x" }), "InputError", /this model takes none; leave it out/);
  await matrix.dispose();
});

test("the widths of a matryoshka model", async () => {
  const pairs = JSON.parse(textOf("mmbert", "golden.json")).pairs.slice(0, 3);
  const { matryoshka } = JSON.parse(textOf("mmbert", "reranker.json")).scoring;
  const texts = pairs.map((/** @type {any} */ pair) => [pair.query, pair.document]);
  for (const [exit, layers] of matryoshka.layers.entries()) {
    for (const [width, dim] of matryoshka.dims.entries()) {
      const narrow = await Reranker.from_pretrained(`${ARTIFACTS}mmbert`, { dtype: "fp32", layers, dim });
      const { logits } = await narrow.score(texts);
      const column = exit * matryoshka.dims.length + width;
      pairs.forEach((/** @type {any} */ pair, /** @type {number} */ i) => {
        assert.ok(Math.abs(logits[i] - pair.logits[column]) < 1e-4);
      });
      await narrow.dispose();
    }
  }
});

test("late interaction: many documents score as alone and by their vectors, in batches of any size", async () => {
  const late = await LateInteraction.from_pretrained(`${ARTIFACTS}colbert`, { dtype: "fp32" });
  const texts = Array.from({ length: 30 }, (_, i) => `${DOCUMENTS[i % 2]} ${"sort ".repeat(i)}`);
  const [query] = await late.encode(["sort an array"], { is_query: true });
  const expected = maxsim(query, await late.encode(texts));
  for (const options of [{}, { batch_tokens: 1 }, { batch_tokens: 100 }]) {
    const hits = await late.rank("sort an array", texts, options);
    assert.deepEqual(hits.map((hit) => hit.corpus_id).sort((a, b) => a - b), [...texts.keys()]);
    for (const hit of hits) assert.ok(Math.abs(hit.score - expected[hit.corpus_id]) < 1e-4);
  }
  assert.deepEqual(await late.rank("sort an array", []), []);
  await late.dispose();
});

test("every method works without its options", async () => {
  const late = await LateInteraction.from_pretrained(`${ARTIFACTS}colbert`);
  assert.deepEqual(await late.encode(["a"]), await late.encode(["a"], { is_query: false }));
  assert.notDeepEqual(await late.encode(["a"]), await late.encode(["a"], { is_query: true }));
  assert.equal((await late.rank("a", ["b"])).length, 1);
  assert.equal((await late.verify()).top1_agreement, 1);
  await late.dispose();
  assert.equal((await model.rank("a", ["b"])).length, 1);
  assert.equal((await model.predict([["a", "b"]])).length, 1);
  assert.equal((await model.score([["a", "b"]])).logits.length, 1);
  assert.equal((await read_manifest(DEMO)).format, model.manifest.format);
});

test("after it is disposed of", async () => {
  const gone = await Reranker.from_pretrained(DEMO, { dtype: "q4" });
  await gone.dispose();
  await gone.dispose();
  await refuses(() => gone.rank("q", ["a"]), "RerankError", /was disposed of; open it again/);
});

test("disposed of while it scores, it ends the calls that wait", async () => {
  const gone = await Reranker.from_pretrained(DEMO, { dtype: "q4" });
  const calls = [...DOCUMENTS, "x"].map((text) => gone.rank("sort", [text, text], { batch_tokens: 1 }));
  await Promise.all([
    ...calls.map((call) => refuses(() => call, "RerankError", /disposed of while it was scoring; open it again/)),
    gone.dispose(),
    gone.dispose(),
  ]);
});
