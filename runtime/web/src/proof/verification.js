/**
 * Compares what an engine gives for golden pairs with their reference: token ids, then logits.
 */
import { activate } from "../engine/activation.js";
import { ArtifactError, ParityError } from "../errors.js";
import { compare } from "./parity.js";

/** @typedef {import("../artifact/contract.js").GoldenPair} GoldenPair */
/** @typedef {import("./parity.js").DeviceParity} DeviceParity */

/**
 * @param {import("../engine/engine.js").RunningEngine} engine
 * @param {import("../artifact/contract.js").Scoring} scoring
 * @param {GoldenPair[]} pairs
 * @param {number} column Of the pairs' logits.
 * @returns {Promise<DeviceParity>}
 * @throws {ArtifactError} If the tokenizer gives other ids than the reference's, or no pair has logits.
 */
export async function verify(engine, scoring, pairs, column) {
  checkTokens(pairs, await engine.goldenTokens(pairs.map(textsOf)));
  const scored = pairs.filter((pair) => pair.logits !== null);
  if (!scored.length) throw new ArtifactError("no pair has logits to compare with; export the artifact again.");
  const expected = scored.map((pair) => /** @type {number[]} */ (pair.logits)[column]);
  const actual = await engine.goldenLogits(scored.map(textsOf));
  return compare(scored, expected, actual, (x) => activate(x, scoring.activation, scoring.logit_scale));
}

/**
 * @param {DeviceParity} parity
 * @param {number} allowed
 * @param {string} subject Which scores are meant, and where.
 * @throws {ParityError} If the difference is larger than allowed.
 */
export function checkParity({ max_logit_difference, worst_tokens }, allowed, subject) {
  if (max_logit_difference <= allowed) return;
  throw new ParityError(
    `${subject} scores wrongly: its logits are off by up to ${max_logit_difference.toPrecision(3)}, most for a pair of ` +
      `${worst_tokens} tokens, and ${allowed.toPrecision(3)} is allowed; take another device or dtype.`,
  );
}

/**
 * @param {GoldenPair} pair
 * @returns {[string, string]}
 */
function textsOf({ query, document }) {
  return [query, document];
}

/**
 * @param {GoldenPair[]} pairs
 * @param {{query_token_ids: number[], token_ids: number[]}[]} encoded
 */
function checkTokens(pairs, encoded) {
  pairs.forEach(({ query, document, query_token_ids, token_ids }, i) => {
    const actual = encoded[i];
    if (`${actual.query_token_ids};${actual.token_ids}` === `${query_token_ids};${token_ids}`) return;
    throw new ArtifactError(
      `query "${query.slice(0, 60)}" with document "${document.slice(0, 60)}" gives other token ids than the ` +
        "reference; this tokenizer does not work in JavaScript: score this model in Python.",
    );
  });
}
