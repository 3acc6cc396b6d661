/** Late interaction over many documents, with a graph of the test's own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { maxsim } from "../../../src/engine/maxsim.js";
import { TextScorer } from "../../../src/engine/text_scorer.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");
const DIM = 4;
const SETTINGS = { dim: DIM, skip_token_ids: [3], expansion: null, masked_row: null };

/** A session whose graph gives each token vectors made from its id; `vectors` are those cut out of its outputs. */
class Session {
  inputs = [{ name: "input_ids" }, { name: "attention_mask" }];
  /** @type {WeakRef<object>[]} */
  vectors = [];
  most = 0;

  /**
   * @param {string[]} _
   * @param {Record<string, import("../../../src/engine/session.js").Feed>} feeds
   */
  async run(_, { input_ids: { data: ids, dims } }) {
    // A timer, because what this turn of the event loop has dereferenced stays in memory until the next.
    await new Promise((resolve) => setTimeout(resolve));
    collectGarbage();
    this.most = Math.max(this.most, this.vectors.filter((vector) => vector.deref()).length);
    const data = Float32Array.from({ length: ids.length * DIM }, (_, i) => Math.sin(Number(ids[Math.floor(i / DIM)]) * 31 + i % DIM));
    const slice = data.slice.bind(data);
    data.slice = (...range) => {
      const cut = slice(...range);
      this.vectors.push(new WeakRef(cut));
      return cut;
    };
    return [{ data, dims: [...dims, DIM] }];
  }
}

test("memory holds the vectors of one run while documents are scored, and the scores are those of all vectors", async () => {
  const texts = Array.from({ length: 60 }, (_, i) => {
    const token_ids = Array.from({ length: 1 + (i % 7) }, (_, j) => (i * 5 + j * 3) % 11);
    return { token_ids, attended: token_ids.length, truncated: false };
  });
  const session = new Session();
  const scorer = new TextScorer(/** @type {any} */ (session), SETTINGS, 0);
  const [query] = await scorer.embed(texts.slice(4, 5), { is_query: true });
  const expected = maxsim(query, await scorer.embed(texts, { is_query: false, batch_tokens: 12 }));
  session.vectors = [];
  session.most = 0;
  const scores = await scorer.similarities(query, texts, { batch_tokens: 12 });
  assert.deepEqual(scores, expected);
  assert.equal(session.vectors.length, texts.length);
  assert.ok(session.most <= 12, `${session.most} texts' vectors at the same time`);
});
