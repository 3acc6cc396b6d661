/** The numbers: every family, dtype and exit against Python's scores of the same variant, and against PyTorch's. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LateInteraction, Reranker } from "../../src/node.js";
import { allowed, ARTIFACTS, expectedOf, NAMES, scoresOf } from "../artifacts.js";

for (const name of NAMES) {
  describe(name, () => {
    for (const [variant, entries] of Object.entries(expectedOf(name))) {
      for (const layers of Object.keys(entries[0].logits ?? { None: 0 })) {
        test(`${variant}, ${layers} layers`, async () => {
          const options = { dtype: variant, ...(layers === "None" ? {} : { layers: Number(layers) }) };
          const pairs = entries.map(({ query, document }) => /** @type {[string, string]} */ ([query, document]));
          let found;
          /** @type {Reranker | LateInteraction} */
          let model;
          if (entries[0].score === undefined) {
            model = await Reranker.from_pretrained(ARTIFACTS + name, options);
            found = await model.predict(pairs);
          } else {
            model = await LateInteraction.from_pretrained(ARTIFACTS + name, options);
            found = [];
            for (const [query, document] of pairs) found.push((await model.rank(query, [document]))[0].score);
          }
          const scores = scoresOf(entries, { layers });
          const worst = Math.max(...scores.map((score, i) => Math.abs(score - found[i])));
          assert.ok(worst <= allowed(variant, scores, "cpu"), `off by ${worst}`);
          assert.equal(model.device, "cpu");
          await model.verify();
          await model.dispose();
        });
      }
    }
  });
}
