/** The tokenizer alone: token ids as Python's, with control tokens as text and parsed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokenizer } from "@huggingface/tokenizers";
import { readManifest } from "../../src/manifest.js";
import { PromptEncoder, TextEncoder } from "../../src/prompt.js";
import { TextTokenizer } from "../../src/tokenizer.js";
import { expectedOf, NAMES, textOf } from "../artifacts.js";

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
