/**
 * onnxrank in Node.
 */
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-node";
import { nodeFiles } from "./artifact/node_files.js";
import { Engine } from "./engine/engine.js";
import { InputError, show } from "./errors.js";
import { TokenRanker } from "./late_interaction.js";
import { manifestOf } from "./open.js";
import { PairReranker } from "./reranker.js";

/** @typedef {import("./open.js").OpenOptions} OpenOptions */

/** @type {import("./open.js").Platform<import("./artifact/files.js").Graph>} */
const node = {
  files: nodeFiles,
  devices: async (wanted) => {
    if (![undefined, "auto", "cpu"].includes(wanted)) {
      throw new InputError(`device is ${show(wanted)}; in Node give "cpu", or leave it out.`);
    }
    return { attempts: [{ device: "cpu", float16: false, browser: false, hidden_features: [] }], notes: [] };
  },
  start: (_, setup, graph) => Engine.create({ ort, Tokenizer }, setup, graph),
};

/** Ranks documents by relevance to a query. */
export class Reranker extends PairReranker {
  /**
   * @param {string | URL} source A folder or a hub id (owner/name).
   * @param {OpenOptions} [options]
   * @returns {Promise<Reranker>}
   */
  static async from_pretrained(source, options = {}) {
    return this.open(node, source, options);
  }
}

/** Embeds every token of a text, and ranks documents by MaxSim. */
export class LateInteraction extends TokenRanker {
  /**
   * @param {string | URL} source A folder or a hub id (owner/name).
   * @param {OpenOptions} [options]
   * @returns {Promise<LateInteraction>}
   */
  static async from_pretrained(source, options = {}) {
    return this.open(node, source, options);
  }
}

/**
 * The manifest of an artifact: its variants, the sizes of its files, its prompt. No other file is read.
 * @param {string | URL} source As for `from_pretrained`.
 * @param {Pick<OpenOptions, "revision" | "hub">} [options]
 * @returns {Promise<import("./artifact/contract.js").Manifest>}
 */
export async function read_manifest(source, options = {}) {
  return manifestOf(node, source, options);
}

export { maxsim } from "./engine/maxsim.js";
export { ArtifactError, BackendError, HubError, InputError, ParityError, RerankError } from "./errors.js";
