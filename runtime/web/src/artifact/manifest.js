/**
 * `reranker.json`: everything a scorer needs to know about an artifact that the graphs do not carry.
 */
import { ArtifactError, reason, show } from "../errors.js";
import { FORMAT } from "./contract.js";
import { checkShape, SchemaError } from "./schema.js";

/** @typedef {import("./contract.js").Manifest} Manifest */
/** @typedef {import("./contract.js").Variant} Variant */

// What a URL does not keep in its path as it is: it decodes percent signs, ends the path at ? and #, and drops tabs,
// line ends, and spaces around it.
const UNSAFE = /[\\:%?#\s\p{Cc}]/u;
// More tokens, numbers or layers than any model has; lists of a hostile manifest's length would end the process.
const MOST = 2 ** 20;
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * @param {string} text The text of reranker.json.
 * @param {string} place What messages call it.
 * @returns {Manifest}
 * @throws {ArtifactError} If it is malformed, of another format, or names a path outside its folder.
 */
export function readManifest(text, place) {
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw new ArtifactError(`${place} cannot be read (${reason(error)}); export the artifact again.`, { cause: error });
  }
  if (Number.isInteger(data?.format) && data.format !== FORMAT) {
    const remedy = data.format > FORMAT ? "upgrade onnxrank" : "export the artifact again";
    throw new ArtifactError(`${place} has format ${data.format}, and this onnxrank reads format ${FORMAT}: ${remedy}.`);
  }
  try {
    checkShape(data, "Manifest");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new ArtifactError(`${place}: ${error.message}; export the artifact again.`, { cause: error });
  }
  check(data, place);
  return data;
}

/**
 * The class that scores with such an artifact.
 * @param {import("./contract.js").Scoring} scoring
 */
export function openedWith({ prompt, late_interaction }) {
  if (prompt) return "Reranker";
  return late_interaction ? "LateInteraction" : "Embedder";
}

/**
 * @param {Manifest} manifest
 * @param {string} place
 */
function check({ scoring, variants, files }, place) {
  const again = "export the artifact again.";
  if ((scoring.prompt === null) === (scoring.texts === null)) {
    throw new ArtifactError(`${place} must have either a prompt or texts under \`scoring\`; ${again}`);
  }
  for (const [name, count] of Object.entries(countsOf(scoring))) {
    if (count !== undefined && (count < 1 || count > MOST)) {
      throw new ArtifactError(`${place} gives ${name} as ${count}, and a model has 1 to ${MOST}; ${again}`);
    }
  }
  for (const [name, { sha256, bytes }] of Object.entries(files)) {
    if (UNSAFE.test(name) || name.split("/").some((part) => ["", ".", ".."].includes(part))) {
      throw new ArtifactError(`${place} names ${show(name)}, a path outside its folder; do not use this artifact.`);
    }
    if (!SHA256.test(sha256) || bytes < 0) {
      throw new ArtifactError(
        `${place} lists "${name}" with ${bytes} bytes and the sha256 ${show(sha256)}, which no file has; ${again}`,
      );
    }
  }
  if (!Object.keys(variants).length) throw new ArtifactError(`${place} lists no variant; ${again}`);
  const exits = new Set(scoring.matryoshka?.layers.slice(1).map(String));
  for (const [label, variant] of Object.entries(variants)) {
    const unlisted = pathsOf(variant).find((name) => !Object.hasOwn(files, name));
    if (unlisted !== undefined) {
      throw new ArtifactError(`${place}: variant "${label}" names "${unlisted}", which \`files\` does not list; ${again}`);
    }
    const layers = Object.keys(variant.exits);
    if (layers.length !== exits.size || !layers.every((count) => exits.has(count))) {
      throw new ArtifactError(
        `${place}: variant "${label}" has graphs for other exits than \`matryoshka\` lists; ${again}`,
      );
    }
  }
}

/** @param {import("./contract.js").Scoring} scoring */
function countsOf({ max_length, texts, late_interaction, kv_cache }) {
  return {
    "scoring.max_length": max_length,
    "scoring.texts.query.max_length": texts?.query.max_length,
    "scoring.texts.document.max_length": texts?.document.max_length,
    "scoring.late_interaction.dim": late_interaction?.dim,
    "scoring.kv_cache.layers": kv_cache?.layers,
    "scoring.kv_cache.heads": kv_cache?.heads,
    "scoring.kv_cache.head_dim": kv_cache?.head_dim,
  };
}

/** @param {Variant} variant */
function pathsOf({ padded, prefix, requantize, past, exits, files }) {
  const paths = [padded, prefix, requantize, past && past.file, ...Object.values(exits), ...files];
  return paths.filter((path) => path !== null);
}
