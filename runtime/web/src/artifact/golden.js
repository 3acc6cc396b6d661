/**
 * `golden.json`: pairs with the token ids and logits that the untouched PyTorch checkpoint gave.
 */
import { ArtifactError, reason } from "../errors.js";
import { GOLDEN } from "./contract.js";
import { checkShape } from "./schema.js";

/** @typedef {import("./contract.js").GoldenPair} GoldenPair */

/**
 * @param {string} text The text of golden.json.
 * @returns {GoldenPair[]}
 * @throws {ArtifactError} If it is malformed.
 */
export function readGolden(text) {
  try {
    const data = JSON.parse(text);
    checkShape(data, "Golden");
    return data.pairs;
  } catch (error) {
    throw new ArtifactError(`${GOLDEN} cannot be read (${reason(error)}); export the artifact again.`, { cause: error });
  }
}
