/**
 * The padded graph: rows padded to one length on either side, any device, any family.
 */
import { BackendError } from "../errors.js";
import { paddedBatches } from "./batching.js";

/** @typedef {import("./session.js").Feed} Feed */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {{ids: BigInt64Array, mask: BigInt64Array, types: BigInt64Array, rows: number, width: number}} Batch */
/** @typedef {import("../artifact/contract.js").VocabularyReadout} Readout */
/**
 * batch_tokens: rows x longest row of one run. pad_left: whether rows are padded on the left.
 * @typedef {{batch_tokens?: number, pad_left?: boolean}} PaddedOptions
 */

// Rows x longest row: bounds the workspace of one run.
const BATCH_TOKENS = 2048;

/**
 * The logits of token-id sequences, one `Float32Array` of columns for each, in input order.
 * second_start: where a sequence's second text starts, for graphs that want token_type_ids.
 * @param {Session} session
 * @param {{token_ids: number[], second_start: number}[]} sequences
 * @param {PaddedOptions & {pad_token_id: number, readout: Readout | null}} options
 * @returns {Promise<Float32Array[]>}
 */
export async function paddedLogits(session, sequences, options) {
  const { pad_token_id, readout, batch_tokens = BATCH_TOKENS, pad_left = false } = options;
  /** @type {Float32Array[]} */
  const logits = new Array(sequences.length);
  for (const rows of batchesOf(sequences, batch_tokens)) {
    const batch = pad(rows.map((i) => sequences[i]), pad_token_id, pad_left);
    const [{ data, dims }] = await session.run(["logits"], feedsOf(session, batch));
    rows.forEach((i, row) => {
      logits[i] = readout
        ? readVocabulary(data, dims, row, lastAttended(batch, row), readout)
        : data.slice(row * dims[1], (row + 1) * dims[1]);
    });
  }
  return logits;
}

/**
 * The index of each sequence and the vectors of its tokens, `[tokens, dim]` row by row, run after run. Attention sees the
 * first `attended` tokens of a sequence.
 * @param {Session} session
 * @param {{token_ids: number[], attended: number}[]} sequences
 * @param {PaddedOptions & {pad_token_id: number}} options
 * @returns {AsyncGenerator<[number, Float32Array]>}
 */
export async function* paddedVectors(session, sequences, options) {
  const { pad_token_id, batch_tokens = BATCH_TOKENS, pad_left = false } = options;
  for (const rows of batchesOf(sequences, batch_tokens)) {
    const batch = pad(
      rows.map((i) => ({ token_ids: sequences[i].token_ids, second_start: Infinity, attended: sequences[i].attended })),
      pad_token_id,
      pad_left,
    );
    const [{ data, dims: [, width, dim] }] = await session.run(["token_embeddings"], feedsOf(session, batch));
    for (const [row, i] of rows.entries()) {
      const { length } = sequences[i].token_ids;
      const first = row * width + (pad_left ? width - length : 0);
      yield [i, data.slice(first * dim, (first + length) * dim)];
    }
  }
}

/**
 * @param {{token_ids: number[]}[]} sequences
 * @param {number} budget
 */
function batchesOf(sequences, budget) {
  return paddedBatches(
    sequences.map(({ token_ids }) => token_ids.length),
    budget,
  );
}

/**
 * @param {{token_ids: number[], second_start: number, attended?: number}[]} sequences
 * @param {number} padTokenId
 * @param {boolean} left
 * @returns {Batch}
 */
function pad(sequences, padTokenId, left) {
  const rows = sequences.length;
  const width = Math.max(...sequences.map(({ token_ids }) => token_ids.length));
  const ids = new BigInt64Array(rows * width).fill(BigInt(padTokenId));
  const mask = new BigInt64Array(rows * width);
  const types = new BigInt64Array(rows * width);
  sequences.forEach(({ token_ids, second_start, attended = token_ids.length }, row) => {
    const first = row * width + (left ? width - token_ids.length : 0);
    token_ids.forEach((id, i) => {
      ids[first + i] = BigInt(id);
      if (i < attended) mask[first + i] = 1n;
      if (i >= second_start) types[first + i] = 1n;
    });
  });
  return { ids, mask, types, rows, width };
}

/**
 * The inputs that the graph declares; `past_key_values` are empty.
 * @param {Session} session
 * @param {Batch} batch
 */
function feedsOf(session, { ids, mask, types, rows, width }) {
  const integers = { input_ids: ids, attention_mask: mask, token_type_ids: types };
  /** @type {Record<string, Feed>} */
  const feeds = {};
  for (const input of session.inputs) {
    const data = integers[/** @type {keyof typeof integers} */ (input.name)];
    if (data) feeds[input.name] = { data, dims: [rows, width] };
    else if (input.isTensor) feeds[input.name] = emptyCache(input, rows);
    else throw new BackendError(`the graph wants the unknown input "${input.name}"; export it again.`);
  }
  return feeds;
}

/**
 * @param {import("onnxruntime-common").InferenceSession.TensorValueMetadata} input
 * @param {number} rows
 * @returns {Feed}
 */
function emptyCache({ type, shape }, rows) {
  const dims = shape.map((size) => (typeof size === "number" ? size : size === "batch_size" ? rows : 0));
  return { data: type === "float16" ? new Uint16Array(0) : new Float32Array(0), dims };
}

/**
 * @param {Batch} batch
 * @param {number} row
 */
function lastAttended({ mask, width }, row) {
  return mask.subarray(row * width, (row + 1) * width).lastIndexOf(1n);
}

/**
 * The logit that a position of `[batch_size, sequence_length, vocab_size]` gives.
 * @param {Float32Array} data
 * @param {readonly number[]} dims
 * @param {number} row
 * @param {number} position
 * @param {Readout} readout
 */
function readVocabulary(data, [, width, vocabulary], row, position, { true_token_id, false_token_id }) {
  const start = (row * width + position) * vocabulary;
  const falseLogit = false_token_id === null ? 0 : data[start + false_token_id];
  return Float32Array.of(data[start + true_token_id] - falseLogit);
}
