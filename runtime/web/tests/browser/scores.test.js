/** Every family on WASM and on WebGPU, against Python's scores of the same variant: 1 to 600 tokens, batches padded on
 * either side, batch against single. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { allowedScore, expectedOf, NAMES, scoresOf } from "../artifacts.js";
import { pages, scoreIn } from "./page.js";

const open = pages();
// A path through the kernels each; WebGPU in software has no float16, and takes seconds a model.
const DTYPES = { wasm: ["fp32", "int8", "q4", "fp16", "q4f16"], webgpu: ["fp32", "q4"] };

for (const [device, dtypes] of Object.entries(DTYPES)) {
  describe(device, () => {
    for (const name of NAMES) {
      for (const dtype of dtypes) {
        // Padding and batches are the graphs' matter, which the variants share.
        if (device === "wasm" && !["fp32", "q4"].includes(dtype) && name !== "demo") continue;
        test(`${name}, ${dtype}`, async () => {
          const all = expectedOf(name)[dtype];
          // Texts of 1 to 600 tokens are the last 11; others every third.
          const entries = all.filter((_, i) => i >= all.length - 11 || i % 3 === 0);
          const { scores, scale } = scoresOf(entries);
          const page = await open();
          const found = await scoreIn(page, {
            name,
            options: { device, dtype },
            pairs: entries.map(({ query, document }) => /** @type {[string, string]} */ ([query, document])),
            late: entries[0].score !== undefined,
          });
          await page.close();
          assert.equal(found.device, device, found.notes.join(" "));
          for (const way of /** @type {const} */ (["together", "alone", "left"])) {
            const worst = Math.max(...scores.map((score, i) => Math.abs(score - found[way][i])));
            assert.ok(worst <= allowedScore(dtype) * scale, `${way}: off by ${worst}`);
          }
        });
      }
    }
  });
}
