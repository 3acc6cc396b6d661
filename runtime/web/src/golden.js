/**
 * `golden.json`: pairs with the token ids and logits that the untouched PyTorch checkpoint gave.
 */
import { ArtifactError, reason } from "./errors.js";
import { list, map, nullable, number, integer, record, string } from "./schema.js";

/**
 * token_ids: of the prompt, or of the document where the model embeds queries (query_token_ids) and documents one by
 * one. logits: one number, or one for each exit (deepest first) and width (widest first) of a matryoshka model; null
 * where only the token ids were recorded.
 * @typedef {{query: string, document: string, query_token_ids: number[], token_ids: number[],
 *   logits: number[] | null}} GoldenPair
 */

export const GOLDEN = "golden.json";

const shape = record({
  oracle: map(string),
  pairs: list(
    record({
      query: string,
      document: string,
      query_token_ids: list(integer),
      token_ids: list(integer),
      logits: nullable(list(number)),
    }),
  ),
});

/**
 * @param {string} text The text of golden.json.
 * @returns {GoldenPair[]}
 * @throws {ArtifactError} If it is malformed.
 */
export function readGolden(text) {
  try {
    const data = JSON.parse(text);
    shape(data, "");
    return data.pairs;
  } catch (error) {
    throw new ArtifactError(`${GOLDEN} cannot be read (${reason(error)}); export the artifact again.`, { cause: error });
  }
}
