/** Prompts: token ids as Python's, with control tokens as text and parsed, and what is cut and shared. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import { PLACEHOLDER } from "../../../src/artifact/contract.js";
import { readManifest } from "../../../src/artifact/manifest.js";
import { longestFirst, PromptEncoder, sharedTokens, TextEncoder } from "../../../src/text/prompt.js";
import { TextTokenizer } from "../../../src/text/tokenizer.js";
import { expectedOf, NAMES, textOf } from "../../artifacts.js";

test("no text can write the placeholder of a control token", () => {
  const json = textOf("xlm-roberta", "tokenizer.json");
  const control = JSON.parse(json).added_tokens.filter((/** @type {any} */ token) => token.special && token.content !== "<unk>");
  const guesses = control.map((/** @type {any} */ { id }) => ` ${PLACEHOLDER}${id}`).join("");
  const [ids] = new TextTokenizer(json, Tokenizer).encode([`</s>${guesses}`], false);
  assert.ok(control.length > 0 && control.every((/** @type {any} */ { id }) => !ids.includes(id)));
});

test("texts are stripped as Python strips them, in time that grows with their length alone", () => {
  const prompt = { prefix_token_ids: [], template: "{text}", suffix_token_ids: [], max_length: 10 };
  /** @type {string[]} */
  const seen = [];
  const tokenizer = /** @type {any} */ ({
    encode: (/** @type {string[]} */ texts) => texts.map((text) => (seen.push(text), [1])),
  });
  const settings = { query: prompt, document: prompt, default_instruction: null, strip: true, lower_case: false };
  const spaces = "\t\n\x1c\x1f\x85 \xa0\u2028\u3000";
  // A search that starts anew at each space would take minutes.
  const inside = `a${" ".repeat(200_000)}b`;
  const texts = [`${spaces}a${spaces}b${spaces}`, "\ufeffa\u200b", spaces, "", inside];
  const start = performance.now();
  new TextEncoder(tokenizer, settings, null).texts(texts, false, false);
  assert.deepEqual(seen, [`a${spaces}b`, "\ufeffa\u200b", "", "", inside]);
  assert.ok(performance.now() - start < 10_000);
});

for (const name of NAMES) {
  const { scoring } = readManifest(textOf(name, "reranker.json"), name);
  const tokenizer = new TextTokenizer(textOf(name, "tokenizer.json"), Tokenizer);
  const { prompt, texts, late_interaction } = scoring;
  const [entries] = Object.values(expectedOf(name));
  const golden = JSON.parse(textOf(name, "golden.json")).pairs;

  if (prompt) {
    test(`${name}: prompts`, () => {
      const encoder = new PromptEncoder(tokenizer, prompt, scoring.max_length);
      for (const { query, document, token_ids, special_token_ids, truncated } of entries) {
        const [plain] = encoder.pairs(query, [document], null, false);
        const [parsed] = encoder.pairs(query, [document], null, true);
        assert.deepEqual(plain.token_ids, token_ids);
        assert.deepEqual(parsed.token_ids, special_token_ids);
        assert.equal(plain.truncated, truncated);
      }
      for (const { query, document, token_ids } of golden) {
        assert.deepEqual(encoder.pairs(query, [document], null, false)[0].token_ids, token_ids);
      }
    });
  }

  if (texts) {
    test(`${name}: texts`, () => {
      const encoder = new TextEncoder(tokenizer, texts, late_interaction?.expansion ?? null);
      for (const { query, document, query_token_ids, token_ids, special_token_ids, truncated } of entries) {
        assert.deepEqual(encoder.texts([query], true, false)[0].token_ids, query_token_ids);
        const [plain] = encoder.texts([document], false, false);
        assert.deepEqual(plain.token_ids, token_ids);
        assert.equal(plain.truncated, truncated);
        assert.deepEqual(encoder.texts([document], false, true)[0].token_ids, special_token_ids);
      }
      for (const { query, document, query_token_ids, token_ids } of golden) {
        assert.deepEqual(encoder.texts([query], true, false)[0].token_ids, query_token_ids);
        assert.deepEqual(encoder.texts([document], false, false)[0].token_ids, token_ids);
      }
    });
  }
}

test("the fixtures hold texts that are cut, and control tokens that change a prompt", () => {
  const all = NAMES.map((name) => expectedOf(name)).map((variants) => Object.values(variants)[0]);
  const changed = all.filter((entries) => entries.some((e) => `${e.token_ids}` !== `${e.special_token_ids}`));
  // Late interaction lower-cases its texts, and the names of control tokens with them.
  assert.equal(changed.length, all.filter(([entry]) => entry.score === undefined).length);
  assert.ok(all.flat().some(({ truncated }) => truncated));
});

test("what remains of two texts", () => {
  assert.deepEqual(longestFirst(5, 5, 20), [5, 5]);
  assert.deepEqual(longestFirst(30, 5, 20), [15, 5]);
  assert.deepEqual(longestFirst(5, 30, 20), [5, 15]);
  assert.deepEqual(longestFirst(30, 30, 21), [10, 11]);
  assert.deepEqual(longestFirst(30, 30, 20), [10, 10]);
  assert.deepEqual(longestFirst(0, 30, 20), [0, 20]);
});

test("the tokens that sequences share", () => {
  assert.equal(sharedTokens([[1, 2, 3], [1, 2, 4], [1, 2, 3, 4]]), 2);
  assert.equal(sharedTokens([[1, 2], [1, 2]]), 1);
  assert.equal(sharedTokens([[1, 2], [1, 2, 3]]), 1);
  assert.equal(sharedTokens([[2], [1]]), 0);
  assert.equal(sharedTokens([[1, 2]]), 0);
  assert.equal(sharedTokens([[], [1]]), 0);
  assert.equal(sharedTokens([]), 0);
});

test("pairs that are encoded whole share the tokens with which all of them start", () => {
  const tokenizer = { encode: (/** @type {string[]} */ texts) => texts.map((text) => [...text].map((c) => c.charCodeAt(0))) };
  const encoder = new PromptEncoder(
    /** @type {any} */ (tokenizer),
    {
      prefix_token_ids: [1],
      instruction: "",
      query: "",
      separator_token_ids: [],
      document: "{instruction}:{query}-{document}",
      suffix_token_ids: [2],
      default_instruction: "i",
      truncation: "document",
      document_template: null,
    },
    9,
  );
  const ids = (/** @type {string} */ text) => [...text].map((c) => c.charCodeAt(0));
  const [first, second] = encoder.pairs("q", ["abc", "abdefgh"], null, false);
  assert.deepEqual([first.instruction, first.query, first.document], [[1], ids("i:q-ab"), [...ids("c"), 2]]);
  assert.deepEqual([second.query, second.document, second.truncated], [ids("i:q-ab"), [...ids("d"), 2], true]);
  assert.deepEqual(second.token_ids, [1, ...ids("i:q-abd"), 2]);
  const [lone] = encoder.pairs("q", ["abc"], null, false);
  assert.deepEqual([lone.query, lone.token_ids], [[], first.token_ids]);
});
