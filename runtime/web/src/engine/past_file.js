/**
 * Keys and values that an artifact's file holds, because its variant would compute them less exactly.
 */
import { ArtifactError } from "../errors.js";

/** @typedef {import("../artifact/contract.js").KeyValueCache} KeyValueCache */
/**
 * The keys and values of a prefix, `[heads, tokens, head_dim]`, by the graph's names for them.
 * @typedef {Record<string, {data: Float32Array, dims: number[]}>} Past
 */

// Of a float16.
const BYTES = 2;

/**
 * @param {import("../artifact/contract.js").StoredPast} stored
 * @param {Uint8Array} content The file's.
 * @param {KeyValueCache} shape
 * @returns {Past}
 * @throws {ArtifactError} If its size is wrong.
 */
export function readPast({ file, token_ids }, content, shape) {
  const dims = [shape.heads, token_ids.length, shape.head_dim];
  const size = shape.heads * token_ids.length * shape.head_dim;
  const names = pastNames("past_key_values", shape);
  const expected = names.length * size * BYTES;
  if (content.length !== expected) {
    throw new ArtifactError(
      `${file} has ${content.length} bytes, and the keys and values of ${token_ids.length} tokens take ${expected}; ` +
        "export the artifact again.",
    );
  }
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const values = new Float32Array(names.length * size);
  for (let i = 0; i < values.length; i++) values[i] = float16(view.getUint16(i * BYTES, true));
  return Object.fromEntries(
    names.map((name, i) => [name, { data: values.subarray(i * size, (i + 1) * size), dims }]),
  );
}

/**
 * The prefix graph's names for keys and values, in order.
 * @param {"past_key_values" | "present"} kind
 * @param {KeyValueCache} shape
 */
export function pastNames(kind, { layers }) {
  return Array.from({ length: layers }, (_, i) => [`${kind}.${i}.key`, `${kind}.${i}.value`]).flat();
}

/**
 * The value of a finite float16; engines without Float16Array are still in use.
 * @param {number} bits
 */
export function float16(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  // Without an exponent it is a subnormal number, which has no leading one.
  const magnitude = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
  return bits >> 15 ? -magnitude : magnitude;
}
