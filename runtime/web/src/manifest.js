/**
 * `reranker.json`: everything a scorer needs to know about an artifact that the graphs do not carry. The fields are
 * those of runtime/manifest.py, which says what they mean.
 */
import { ArtifactError } from "./errors.js";
import { boolean, integer, list, map, nullable, number, record, SchemaError, setting, string } from "./schema.js";

/**
 * @typedef {{prefix_token_ids: number[], instruction: string, query: string, separator_token_ids: number[],
 *   document: string, suffix_token_ids: number[], default_instruction: string | null, truncation: string,
 *   record: string | null}} Prompt
 * @typedef {{prefix_token_ids: number[], template: string, suffix_token_ids: number[], max_length: number}} TextPrompt
 * @typedef {{query: TextPrompt, document: TextPrompt, default_instruction: string | null, strip: boolean,
 *   lower_case: boolean}} Texts
 * @typedef {{token_id: number, attend: boolean}} Expansion
 * @typedef {{dim: number, expansion: Expansion | null, skip_token_ids: number[], masked_row: string | null}} LateInteraction
 * @typedef {{layers: number[], dims: number[]}} Matryoshka
 * @typedef {{true_token_id: number, false_token_id: number | null}} Readout
 * @typedef {{pairs: number, max_logit_difference: number, max_score_difference: number, kendall_tau: number,
 *   top1_agreement: number}} Parity
 * @typedef {{portable: string, packed: string | null, unpack: string | null,
 *   exits: Record<string, string>, files: string[], settings: Record<string, string | number | boolean>, kept_float32: string[], parity: Record<string, Parity>,
 *   batch_effect: number, evaluation: Record<string, number> | null}} Variant
 * @typedef {{sha256: string, bytes: number}} FileEntry
 * @typedef {{prompt: Prompt | null, texts: Texts | null, late_interaction: LateInteraction | null,
 *   matryoshka: Matryoshka | null, max_length: number, pad_token_id: number, activation: string, logit_scale: number,
 *   readout: Readout | null, kv_cache: {layers: number, heads: number, head_dim: number} | null}} Scoring
 * @typedef {{format: number, name: string, family: string,
 *   source: {id: string, revision: string | null, licence: string | null}, made_with: Record<string, string>,
 *   options: Record<string, string | number | boolean>, traced: boolean, scoring: Scoring,
 *   variants: Record<string, Variant>, files: Record<string, FileEntry>}} Manifest
 */

export const MANIFEST = "reranker.json";
export const FORMAT = 1;

const textPrompt = record({
  prefix_token_ids: list(integer),
  template: string,
  suffix_token_ids: list(integer),
  max_length: integer,
});
const scoring = record({
  prompt: nullable(
    record({
      prefix_token_ids: list(integer),
      instruction: string,
      query: string,
      separator_token_ids: list(integer),
      document: string,
      suffix_token_ids: list(integer),
      default_instruction: nullable(string),
      truncation: string,
      record: nullable(string),
    }),
  ),
  texts: nullable(
    record({
      query: textPrompt,
      document: textPrompt,
      default_instruction: nullable(string),
      strip: boolean,
      lower_case: boolean,
    }),
  ),
  late_interaction: nullable(
    record({
      dim: integer,
      expansion: nullable(record({ token_id: integer, attend: boolean })),
      skip_token_ids: list(integer),
      masked_row: nullable(string),
    }),
  ),
  matryoshka: nullable(record({ layers: list(integer), dims: list(integer) })),
  max_length: integer,
  pad_token_id: integer,
  activation: string,
  logit_scale: number,
  readout: nullable(record({ true_token_id: integer, false_token_id: nullable(integer) })),
  kv_cache: nullable(record({ layers: integer, heads: integer, head_dim: integer })),
});
const variant = record({
  portable: string,
  packed: nullable(string),
  unpack: nullable(string),
  exits: map(string),
  files: list(string),
  settings: map(setting),
  kept_float32: list(string),
  parity: map(
    record({
      pairs: integer,
      max_logit_difference: number,
      max_score_difference: number,
      kendall_tau: number,
      top1_agreement: number,
    }),
  ),
  batch_effect: number,
  evaluation: nullable(map(number)),
});
const shape = record({
  format: integer,
  name: string,
  family: string,
  source: record({ id: string, revision: nullable(string), licence: nullable(string) }),
  made_with: map(string),
  options: map(setting),
  traced: boolean,
  scoring,
  variants: map(variant),
  files: map(record({ sha256: string, bytes: integer })),
});

/**
 * @param {string} text The text of reranker.json.
 * @param {string} place What messages call it.
 * @returns {Manifest}
 * @throws {ArtifactError} If it is malformed, of a newer format, or names a path outside its folder.
 */
export function readManifest(text, place) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new ArtifactError(`${place} is no JSON; export the artifact again.`, { cause: error });
  }
  if (Number.isInteger(data?.format) && data.format > FORMAT) {
    throw new ArtifactError(
      `${place} has format ${data.format}, and this onnxrank reads up to ${FORMAT}: upgrade the package onnxrank.`,
    );
  }
  try {
    shape(data, "");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new ArtifactError(`${place}: ${error.message}; export the artifact again.`, { cause: error });
  }
  check(data, place);
  return data;
}

/**
 * The class that scores with such an artifact.
 * @param {Scoring} scoring
 */
export function openedWith({ prompt, late_interaction }) {
  if (prompt) return "Reranker";
  return late_interaction ? "LateInteraction" : "Embedder";
}

/**
 * @param {Manifest} manifest
 * @param {string} place
 */
function check(manifest, place) {
  const again = "export the artifact again.";
  const { activation, prompt, texts } = manifest.scoring;
  if (manifest.format !== FORMAT) throw new ArtifactError(`${place} has the unknown format ${manifest.format}; ${again}`);
  if (!["sigmoid", "identity"].includes(activation)) {
    throw new ArtifactError(`${place} names the unknown activation "${activation}"; ${again}`);
  }
  if ((prompt === null) === (texts === null)) {
    throw new ArtifactError(`${place} must have either a prompt or texts under \`scoring\`; ${again}`);
  }
  for (const name of Object.keys(manifest.files)) {
    // A URL decodes percent signs, and ends its path at ? and #.
    if (name === "" || name.startsWith("/") || /[\\:%?#]/.test(name) || name.split("/").includes("..")) {
      throw new ArtifactError(`${place} names "${name}", a path outside its folder; do not use this artifact.`);
    }
  }
  for (const [label, { portable, packed, unpack, exits, files }] of Object.entries(manifest.variants)) {
    const named = [portable, ...(packed ? [packed] : []), ...(unpack ? [unpack] : []), ...Object.values(exits), ...files];
    const unlisted = named.find((name) => !Object.hasOwn(manifest.files, name));
    if (unlisted !== undefined) {
      throw new ArtifactError(`${place}: variant "${label}" names "${unlisted}", which \`files\` does not list; ${again}`);
    }
  }
}
