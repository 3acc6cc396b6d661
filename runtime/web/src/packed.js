/**
 * Scoring with the packed graph: rows that continue a shared prefix, whose keys and values are computed once. The
 * instruction's are kept across requests, the query's are computed once per request.
 */
import { grouped, paddedBatches, RUN_TOKENS } from "./packing.js";

/** @typedef {import("./prompt.js").EncodedPair} EncodedPair */
/** @typedef {import("./session.js").Feed} Feed */
/** @typedef {import("./session.js").Output} Output */
/** @typedef {import("./session.js").Session} Session */
/**
 * The keys and values of a prefix, `[heads, tokens, head_dim]`, by the graph's names for them.
 * @typedef {Record<string, {data: Float32Array, dims: number[]}>} Past
 */

// Of a run: smaller packs read the weights more often.
const PACK_TOKENS = 256;
// Tokens of a lone text from which on GroupQueryAttention takes it, which never holds the square of its length: on
// processors always. On WASM it is 6 times slower than plain products at 1,000 tokens, which hold some 0.3 GB then.
const GROUPED_FROM_ON_WASM = 2048;
// Enough for a page's few instructions; one holds about 13 MB for Qwen3-Reranker-0.6B.
const KEPT_INSTRUCTIONS = 4;

export class PackedScorer {
  #session;
  #cache;
  #groupedFrom;
  /** Oldest first. @type {Map<string, Past>} */
  #kept = new Map();

  /**
   * @param {Session} session
   * @param {{layers: number, heads: number, head_dim: number}} cache
   * @param {import("./session.js").Device} device
   */
  constructor(session, cache, device) {
    this.#session = session;
    this.#cache = cache;
    this.#groupedFrom = device === "wasm" ? GROUPED_FROM_ON_WASM : 1;
  }

  /**
   * The logits of pairs with one instruction, in input order. A query with enough documents gets a run of its own,
   * before theirs; other pairs share packs behind the instruction.
   * @param {EncodedPair[]} pairs
   * @param {number} [pack_tokens]
   * @returns {Promise<Float32Array>}
   */
  async score(pairs, pack_tokens = PACK_TOKENS) {
    const logits = new Float32Array(pairs.length);
    /** @type {number[]} */
    const lone = [];
    for (const rows of grouped(pairs.map(({ token_ids, second_start }) => token_ids.slice(0, second_start).join()))) {
      const { token_ids, query_start, second_start } = pairs[rows[0]];
      if ((rows.length - 1) * (second_start - query_start) <= RUN_TOKENS) lone.push(...rows);
      else {
        const past = await this.#extend(await this.#instruction(pairs[rows[0]]), token_ids.slice(query_start, second_start));
        await this.#documents(past, rows, rows.map((i) => pairs[i].token_ids.slice(second_start)), logits, pack_tokens);
      }
    }
    if (lone.length) {
      const past = await this.#instruction(pairs[lone[0]]);
      await this.#documents(past, lone, lone.map((i) => pairs[i].token_ids.slice(pairs[i].query_start)), logits, pack_tokens);
    }
    return logits;
  }

  /**
   * @param {Past} past
   * @param {number[]} places Of the documents' logits.
   * @param {number[][]} documents
   * @param {Float32Array} logits
   * @param {number} pack_tokens
   */
  async #documents(past, places, documents, logits, pack_tokens) {
    for (const rows of paddedBatches(documents.map(({ length }) => length), pack_tokens)) {
      const [{ data }] = await this.#session.run(["logits"], { ...this.#pack(rows.map((i) => documents[i]), 0), ...past });
      rows.forEach((i, row) => (logits[places[i]] = data[row]));
    }
  }

  /** @param {EncodedPair} pair */
  async #instruction({ token_ids, query_start }) {
    const ids = token_ids.slice(0, query_start);
    const key = ids.join();
    const past = this.#kept.get(key) ?? (ids.length ? await this.#extend(this.#empty(), ids) : this.#empty());
    this.#kept.delete(key);
    this.#kept.set(key, past);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_INSTRUCTIONS) this.#kept.delete(oldest);
    return past;
  }

  /** @returns {Past} */
  #empty() {
    const { heads, head_dim } = this.#cache;
    return Object.fromEntries(
      this.#names("past_key_values").map((name) => [name, { data: new Float32Array(0), dims: [heads, 0, head_dim] }]),
    );
  }

  /**
   * @param {Past} past
   * @param {number[]} tokenIds
   * @returns {Promise<Past>}
   */
  async #extend(past, tokenIds) {
    const present = await this.#session.run(this.#names("present"), { ...this.#pack([tokenIds], tokenIds.length), ...past });
    return Object.fromEntries(
      this.#names("past_key_values").map((name, i) => [name, joined(past[name], present[i].data)]),
    );
  }

  /**
   * Documents padded on the right: what follows a document is never seen by it.
   * @param {number[][]} documents
   * @param {number} presentLength How many tokens' keys and values to give out.
   * @returns {Record<string, Feed>}
   */
  #pack(documents, presentLength) {
    const width = Math.max(...documents.map(({ length }) => length));
    const ids = new BigInt64Array(documents.length * width);
    documents.forEach((document, row) => document.forEach((id, i) => (ids[row * width + i] = BigInt(id))));
    const last = BigInt64Array.from(documents, ({ length }) => BigInt(length - 1));
    return {
      input_ids: { data: ids, dims: [documents.length, width] },
      last_index: { data: last, dims: [documents.length] },
      present_length: { data: BigInt64Array.of(BigInt(presentLength)), dims: [1] },
      grouped_from: { data: BigInt64Array.of(BigInt(this.#groupedFrom)), dims: [1] },
    };
  }

  /** @param {string} prefix */
  #names(prefix) {
    return Array.from({ length: this.#cache.layers }, (_, i) => [`${prefix}.${i}.key`, `${prefix}.${i}.value`]).flat();
  }
}

/**
 * @param {Past[string]} past
 * @param {Float32Array} present Of the tokens that follow, one row of them.
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
