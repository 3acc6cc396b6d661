/**
 * External initializers that are computed as a session is made: int8 weights, from the 4-bit weights in the files.
 */
import { ALIGNED } from "../artifact/contract.js";

/** @typedef {import("onnxruntime-common").InferenceSession} InferenceSession */

/**
 * Run a graph without inputs, and release its session.
 * @param {InferenceSession} session
 * @returns {Promise<Uint8Array>} The outputs in one block, each at the next multiple of ALIGNED bytes: the content of the
 *   file that the prefix graph names.
 */
export async function requantized(session) {
  const outputs = await session.run({});
  const pieces = session.outputNames.map((name) => bytesOf(outputs[name]));
  await session.release();
  const starts = [0];
  for (const { length } of pieces) starts.push(starts[starts.length - 1] + ALIGNED * Math.ceil(length / ALIGNED));
  const block = new Uint8Array(starts[pieces.length]);
  pieces.forEach((piece, i) => {
    block.set(piece, starts[i]);
    free(piece);
  });
  return block;
}

/**
 * Give a buffer's memory back now by transferring it to a closed port; a garbage collection may come too late.
 * @param {Uint8Array} bytes All of a buffer that is not used again.
 */
export function free({ buffer }) {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(null, [/** @type {ArrayBuffer} */ (buffer)]);
  port1.close();
}

/** @param {import("onnxruntime-common").Tensor} tensor */
function bytesOf({ data }) {
  const { buffer, byteOffset, byteLength } = /** @type {Float32Array | Int8Array} */ (data);
  return new Uint8Array(buffer, byteOffset, byteLength);
}
