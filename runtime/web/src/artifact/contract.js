/**
 * What Python and JavaScript must agree on: the shapes of an artifact's JSON files, and the scorers' constants.
 * `make contract` writes this file from the Python sources, whose docstrings say what each field means.
 */

/**
 * @typedef {{
 *   id: string,
 *   revision: string | null,
 *   licence: string | null,
 * }} Source
 */
/**
 * @typedef {{
 *   prefix_token_ids: number[],
 *   instruction: string,
 *   query: string,
 *   separator_token_ids: number[],
 *   document: string,
 *   suffix_token_ids: number[],
 *   default_instruction: string | null,
 *   truncation: "document" | "longest_first",
 *   document_template: string | null,
 * }} Prompt
 */
/**
 * @typedef {{
 *   prefix_token_ids: number[],
 *   template: string,
 *   suffix_token_ids: number[],
 *   max_length: number,
 * }} TextPrompt
 */
/**
 * @typedef {{
 *   query: TextPrompt,
 *   document: TextPrompt,
 *   default_instruction: string | null,
 *   strip: boolean,
 *   lower_case: boolean,
 * }} Texts
 */
/**
 * @typedef {{
 *   token_id: number,
 *   attend: boolean,
 * }} Expansion
 */
/**
 * @typedef {{
 *   dim: number,
 *   expansion: Expansion | null,
 *   skip_token_ids: number[],
 *   masked_row: "mean" | "zero" | null,
 * }} TokenVectors
 */
/**
 * @typedef {{
 *   layers: number[],
 *   dims: number[],
 * }} Matryoshka
 */
/**
 * @typedef {{
 *   true_token_id: number,
 *   false_token_id: number | null,
 * }} VocabularyReadout
 */
/**
 * @typedef {{
 *   layers: number,
 *   heads: number,
 *   head_dim: number,
 * }} KeyValueCache
 */
/**
 * @typedef {{
 *   prompt: Prompt | null,
 *   texts: Texts | null,
 *   late_interaction: TokenVectors | null,
 *   matryoshka: Matryoshka | null,
 *   max_length: number,
 *   pad_token_id: number,
 *   activation: "sigmoid" | "identity",
 *   logit_scale: number,
 *   readout: VocabularyReadout | null,
 *   kv_cache: KeyValueCache | null,
 * }} Scoring
 */
/**
 * @typedef {{
 *   file: string,
 *   token_ids: number[],
 * }} StoredPast
 */
/**
 * @typedef {{
 *   mean: number,
 *   low: number,
 *   high: number,
 * }} Interval
 */
/**
 * @typedef {{
 *   pairs: number,
 *   max_logit_difference: number,
 *   max_score_difference: number,
 *   noise: Interval,
 *   gain: Interval,
 *   outlier: number,
 *   kendall_tau: number,
 *   top1_agreement: number,
 *   flips: number,
 *   ndcg_points: Interval | null,
 * }} Parity
 */
/**
 * @typedef {{
 *   padded: string,
 *   prefix: string | null,
 *   requantize: string | null,
 *   past: StoredPast | null,
 *   exits: Record<string, string>,
 *   files: string[],
 *   settings: Record<string, string | number | boolean>,
 *   kept_float32: string[],
 *   parity: Record<string, Parity>,
 *   batch_effect: number,
 *   graph_difference: number,
 *   accepted_loss: boolean,
 *   evaluation: Record<string, number> | null,
 * }} Variant
 */
/**
 * @typedef {{
 *   sha256: string,
 *   bytes: number,
 * }} FileEntry
 */
/**
 * @typedef {{
 *   format: number,
 *   name: string,
 *   family: string,
 *   source: Source,
 *   made_with: Record<string, string>,
 *   options: Record<string, string | number | boolean>,
 *   traced: boolean,
 *   scoring: Scoring,
 *   variants: Record<string, Variant>,
 *   files: Record<string, FileEntry>,
 * }} Manifest
 */
/**
 * @typedef {{
 *   query: string,
 *   document: string,
 *   query_token_ids: number[],
 *   token_ids: number[],
 *   logits: number[] | null,
 *   relevance: number | null,
 * }} GoldenPair
 */
/**
 * @typedef {{
 *   oracle: Record<string, string>,
 *   pairs: GoldenPair[],
 * }} Golden
 */
/**
 * @typedef {{
 *   query: string,
 *   document: string,
 *   query_token_ids: number[],
 *   token_ids: number[],
 * }} CheckedPair
 */
/**
 * @typedef {{
 *   pairs: CheckedPair[],
 *   padded: Record<string, number[][]>,
 *   prefix: Record<string, number[][]>,
 *   deviation: number[],
 * }} DeviceCheck
 */
/** @typedef {keyof typeof PRECISIONS} Dtype */
/** @typedef {keyof typeof PREFERRED} Device */
/**
 * A primitive type, the name of another shape, a list or map of one shape, one of several shapes, or one of several
 * strings.
 * @typedef {string | {list: Shape} | {map: Shape} | {either: readonly Shape[]} | {one_of: readonly string[]}} Shape
 */

// runtime/artifact/manifest.py
export const FORMAT = 2;
export const MANIFEST = "reranker.json";
export const GOLDEN = "golden.json";
export const DEVICE_CHECK = "device_check.json";
export const ACTIVATIONS = /** @type {const} */ (["sigmoid", "identity"]);
// runtime/artifact/opening.py
export const TOKENIZER = "tokenizer.json";
// runtime/artifact/variants.py
export const PRECISIONS = /** @type {const} */ ({
  fp32: {
    suffix: "",
    dtype: "fp32",
    weight_bits: 32,
    float16: false,
    byte_products: false,
    prefix_graph: true,
  },
  fp16: {
    suffix: "_fp16",
    dtype: "fp16",
    weight_bits: 16,
    float16: true,
    byte_products: false,
    prefix_graph: false,
  },
  int8: {
    suffix: "_quantized",
    dtype: "q8",
    weight_bits: 8,
    float16: false,
    byte_products: true,
    prefix_graph: true,
  },
  q4: {
    suffix: "_q4",
    dtype: "q4",
    weight_bits: 4,
    float16: false,
    byte_products: false,
    prefix_graph: true,
  },
  q4f16: {
    suffix: "_q4f16",
    dtype: "q4f16",
    weight_bits: 4,
    float16: true,
    byte_products: false,
    prefix_graph: false,
  },
});
export const PREFERRED = /** @type {const} */ ({
  webgpu: ["q4f16", "q4", "fp16", "fp32", "int8"],
  wasm: ["int8", "q4", "fp32", "q4f16", "fp16"],
  cpu: ["int8", "q4", "fp32", "q4f16", "fp16"],
});
// runtime/text/tokenizer.py
export const PLACEHOLDER = "\ue000";
// runtime/engine/batching.py
export const RUN_TOKENS = 16;
// runtime/engine/prefix.py
export const GROUPED_FROM = 1;
// runtime/engine/requantized.py
export const ALIGNED = 64;
// runtime/proof/tolerances.py
export const DEVICE_DIFFERENCE = /** @type {Record<string, number>} */ ({
  fp32: 0.01,
  fp16: 0.15,
  int8: 0.15,
  q4: 0.15,
  q4f16: 0.15,
});
export const EXPORT_MARGIN = 1.1;
// quantize/requantize.py
export const LOCATION = "requantized_at_load";
// The fields of the dataclasses; schema.js reads them.
export const SHAPES = /** @type {Record<string, Record<string, Shape>>} */ ({
  Source: {
    id: "string",
    revision: { either: ["string", "null"] },
    licence: { either: ["string", "null"] },
  },
  Prompt: {
    prefix_token_ids: { list: "integer" },
    instruction: "string",
    query: "string",
    separator_token_ids: { list: "integer" },
    document: "string",
    suffix_token_ids: { list: "integer" },
    default_instruction: { either: ["string", "null"] },
    truncation: { one_of: ["document", "longest_first"] },
    document_template: { either: ["string", "null"] },
  },
  TextPrompt: {
    prefix_token_ids: { list: "integer" },
    template: "string",
    suffix_token_ids: { list: "integer" },
    max_length: "integer",
  },
  Texts: {
    query: "TextPrompt",
    document: "TextPrompt",
    default_instruction: { either: ["string", "null"] },
    strip: "boolean",
    lower_case: "boolean",
  },
  Expansion: {
    token_id: "integer",
    attend: "boolean",
  },
  TokenVectors: {
    dim: "integer",
    expansion: { either: ["Expansion", "null"] },
    skip_token_ids: { list: "integer" },
    masked_row: { either: [{ one_of: ["mean", "zero"] }, "null"] },
  },
  Matryoshka: {
    layers: { list: "integer" },
    dims: { list: "integer" },
  },
  VocabularyReadout: {
    true_token_id: "integer",
    false_token_id: { either: ["integer", "null"] },
  },
  KeyValueCache: {
    layers: "integer",
    heads: "integer",
    head_dim: "integer",
  },
  Scoring: {
    prompt: { either: ["Prompt", "null"] },
    texts: { either: ["Texts", "null"] },
    late_interaction: { either: ["TokenVectors", "null"] },
    matryoshka: { either: ["Matryoshka", "null"] },
    max_length: "integer",
    pad_token_id: "integer",
    activation: { one_of: ["sigmoid", "identity"] },
    logit_scale: "number",
    readout: { either: ["VocabularyReadout", "null"] },
    kv_cache: { either: ["KeyValueCache", "null"] },
  },
  StoredPast: {
    file: "string",
    token_ids: { list: "integer" },
  },
  Interval: {
    mean: "number",
    low: "number",
    high: "number",
  },
  Parity: {
    pairs: "integer",
    max_logit_difference: "number",
    max_score_difference: "number",
    noise: "Interval",
    gain: "Interval",
    outlier: "number",
    kendall_tau: "number",
    top1_agreement: "number",
    flips: "number",
    ndcg_points: { either: ["Interval", "null"] },
  },
  Variant: {
    padded: "string",
    prefix: { either: ["string", "null"] },
    requantize: { either: ["string", "null"] },
    past: { either: ["StoredPast", "null"] },
    exits: { map: "string" },
    files: { list: "string" },
    settings: { map: { either: ["string", "integer", "boolean"] } },
    kept_float32: { list: "string" },
    parity: { map: "Parity" },
    batch_effect: "number",
    graph_difference: "number",
    accepted_loss: "boolean",
    evaluation: { either: [{ map: "number" }, "null"] },
  },
  FileEntry: {
    sha256: "string",
    bytes: "integer",
  },
  Manifest: {
    format: "integer",
    name: "string",
    family: "string",
    source: "Source",
    made_with: { map: "string" },
    options: { map: { either: ["string", "integer", "boolean"] } },
    traced: "boolean",
    scoring: "Scoring",
    variants: { map: "Variant" },
    files: { map: "FileEntry" },
  },
  GoldenPair: {
    query: "string",
    document: "string",
    query_token_ids: { list: "integer" },
    token_ids: { list: "integer" },
    logits: { either: [{ list: "number" }, "null"] },
    relevance: { either: ["integer", "null"] },
  },
  Golden: {
    oracle: { map: "string" },
    pairs: { list: "GoldenPair" },
  },
  CheckedPair: {
    query: "string",
    document: "string",
    query_token_ids: { list: "integer" },
    token_ids: { list: "integer" },
  },
  DeviceCheck: {
    pairs: { list: "CheckedPair" },
    padded: { map: { list: { list: "number" } } },
    prefix: { map: { list: { list: "number" } } },
    deviation: { list: "number" },
  },
});
