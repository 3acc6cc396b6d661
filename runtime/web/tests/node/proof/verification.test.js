/** Pairs that there is nothing to compare with. */
import { test } from "node:test";
import { verify } from "../../../src/proof/verification.js";
import { refuses } from "../../refuses.js";

test("no pair with logits", async () => {
  const pair = { query: "a", document: "b", query_token_ids: [], token_ids: [1], logits: null, relevance: null };
  const engine = /** @type {any} */ ({ goldenTokens: async () => [pair] });
  for (const pairs of [[], [pair]]) {
    await refuses(() => verify(engine, /** @type {any} */ ({}), pairs, 0), "ArtifactError", /no pair has logits to compare with; export/);
  }
});
