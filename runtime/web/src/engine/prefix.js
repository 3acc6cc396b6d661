/**
 * The prefix graph: documents behind a prefix that they share, whose keys and values are computed once. Those of an
 * instruction are cached across requests, unless a file holds them; those of a query are computed once per request.
 */
import { GROUPED_FROM, RUN_TOKENS } from "../artifact/contract.js";
import { grouped, paddedBatches } from "./batching.js";
import { pastNames } from "./past_file.js";

/** @typedef {import("../text/prompt.js").EncodedPair} EncodedPair */
/** @typedef {import("./session.js").Feed} Feed */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./past_file.js").Past} Past */
/** @typedef {{key: string, past: Past}} Stored The keys and values that a file holds; key: their token ids, joined. */
/** @typedef {{row: number, token_ids: number[]}} Sequence A pair's index, and its tokens behind the prefix. */

// Rows x longest row of one run, which all threads share: smaller batches read the weights more often. Python runs
// several batches at once, of fewer tokens each.
const BATCH_TOKENS = 256;
// From how many tokens on GroupQueryAttention takes a lone text. It never holds the square of the text's length, but on
// WASM it is 6 times slower at 1,000 tokens than plain products, which hold some 0.3 GB then.
const GROUPED_FROM_ON_WASM = 2048;
// Enough for the few instructions of a page; the keys and values of one take about 13 MB for Qwen3-Reranker-0.6B.
const CACHED_INSTRUCTIONS = 4;

export class PrefixScorer {
  #session;
  #shape;
  #groupedFrom;
  #stored;
  /** By the instruction's token ids, the one used last at the end. @type {Map<string, Past>} */
  #cache = new Map();

  /**
   * @param {Session} session
   * @param {import("../artifact/contract.js").KeyValueCache} shape
   * @param {import("../artifact/contract.js").Device} device
   * @param {Stored | null} stored
   */
  constructor(session, shape, device, stored) {
    this.#session = session;
    this.#shape = shape;
    this.#stored = stored;
    this.#groupedFrom = device === "wasm" ? GROUPED_FROM_ON_WASM : GROUPED_FROM;
  }

  /**
   * The logits of pairs, in input order. A query with enough documents is part of their prefix; other pairs are batched
   * behind their instruction alone.
   * @param {EncodedPair[]} pairs
   * @param {number} [batch_tokens]
   * @returns {Promise<Float32Array>}
   */
  async score(pairs, batch_tokens = BATCH_TOKENS) {
    const logits = new Float32Array(pairs.length);
    for (const sameInstruction of grouped(pairs.map(({ instruction }) => instruction.join()))) {
      const past = await this.#instruction(pairs[sameInstruction[0]].instruction);
      /** @type {Sequence[]} */
      const behindInstruction = [];
      for (const sameQuery of grouped(sameInstruction.map((row) => pairs[row].query.join()))) {
        const rows = sameQuery.map((i) => sameInstruction[i]);
        const { query } = pairs[rows[0]];
        if ((rows.length - 1) * query.length <= RUN_TOKENS) {
          for (const row of rows) behindInstruction.push({ row, token_ids: [...query, ...pairs[row].document] });
        } else {
          const sequences = rows.map((row) => ({ row, token_ids: pairs[row].document }));
          await this.#run(await this.#extend(past, query), sequences, logits, batch_tokens);
        }
      }
      await this.#run(past, behindInstruction, logits, batch_tokens);
    }
    return logits;
  }

  /**
   * Write the logits of sequences behind a prefix to the places of their pairs.
   * @param {Past} past
   * @param {Sequence[]} sequences
   * @param {Float32Array} logits
   * @param {number} batch_tokens
   */
  async #run(past, sequences, logits, batch_tokens) {
    for (const batch of paddedBatches(sequences.map(({ token_ids }) => token_ids.length), batch_tokens)) {
      const feeds = { ...this.#feeds(batch.map((i) => sequences[i].token_ids), 0), ...past };
      const [{ data }] = await this.#session.run(["logits"], feeds);
      batch.forEach((i, place) => (logits[sequences[i].row] = data[place]));
    }
  }

  /**
   * The keys and values of an instruction, computed unless they are cached or a file holds them.
   * @param {number[]} tokenIds
   */
  async #instruction(tokenIds) {
    const key = tokenIds.join();
    if (this.#stored?.key === key) return this.#stored.past;
    const past = this.#cache.get(key) ?? (tokenIds.length ? await this.#extend(this.#empty(), tokenIds) : this.#empty());
    this.#cache.delete(key);
    this.#cache.set(key, past);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size > CACHED_INSTRUCTIONS) this.#cache.delete(oldest);
    return past;
  }

  /** @returns {Past} */
  #empty() {
    const { heads, head_dim } = this.#shape;
    return Object.fromEntries(
      pastNames("past_key_values", this.#shape).map((name) => [name, { data: new Float32Array(0), dims: [heads, 0, head_dim] }]),
    );
  }

  /**
   * @param {Past} past
   * @param {number[]} tokenIds What follows it.
   * @returns {Promise<Past>}
   */
  async #extend(past, tokenIds) {
    const feeds = { ...this.#feeds([tokenIds], tokenIds.length), ...past };
    const present = await this.#session.run(pastNames("present", this.#shape), feeds);
    return Object.fromEntries(
      pastNames("past_key_values", this.#shape).map((name, i) => [name, joined(past[name], present[i].data)]),
    );
  }

  /**
   * The graph's inputs except for the past. Rows are padded on the right, where no token of the row sees the padding.
   * @param {number[][]} rows
   * @param {number} presentLength How many tokens' keys and values the graph is to give.
   * @returns {Record<string, Feed>}
   */
  #feeds(rows, presentLength) {
    const width = Math.max(...rows.map(({ length }) => length));
    const ids = new BigInt64Array(rows.length * width);
    rows.forEach((tokenIds, row) => tokenIds.forEach((id, i) => (ids[row * width + i] = BigInt(id))));
    const last = BigInt64Array.from(rows, ({ length }) => BigInt(length - 1));
    return {
      input_ids: { data: ids, dims: [rows.length, width] },
      last_index: { data: last, dims: [rows.length] },
      present_length: { data: BigInt64Array.of(BigInt(presentLength)), dims: [1] },
      grouped_from: { data: BigInt64Array.of(BigInt(this.#groupedFrom)), dims: [1] },
    };
  }
}

/**
 * @param {Past[string]} past
 * @param {Float32Array} present The keys or values of the tokens that follow it, of one row.
 * @returns {Past[string]}
 */
function joined({ data, dims: [heads, length, dim] }, present) {
  const more = present.length / (heads * dim);
  const both = new Float32Array(data.length + present.length);
  for (let head = 0; head < heads; head++) {
    const start = head * (length + more) * dim;
    both.set(data.subarray(head * length * dim, (head + 1) * length * dim), start);
    both.set(present.subarray(head * more * dim, (head + 1) * more * dim), start + length * dim);
  }
  return { data: both, dims: [heads, length + more, dim] };
}
