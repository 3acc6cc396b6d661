/**
 * onnxrank in a page or a worker.
 */
import { webFiles } from "./artifact/web_files.js";
import { webDevices } from "./engine/web_devices.js";
import { startWorker } from "./engine/worker_engine.js";
import { TokenRanker } from "./late_interaction.js";
import { manifestOf } from "./open.js";
import { PairReranker } from "./reranker.js";

/** @typedef {import("./open.js").OpenOptions} OpenOptions */

const browser = { files: webFiles, devices: webDevices, start: startWorker };

/** Ranks documents by relevance to a query. */
export class Reranker extends PairReranker {
  /**
   * @param {string | URL} source A folder (a URL, or a path that starts with "./" or "/") or a hub id (owner/name).
   * @param {OpenOptions} [options]
   * @returns {Promise<Reranker>}
   */
  static async from_pretrained(source, options = {}) {
    return this.open(browser, source, options);
  }
}

/** Embeds every token of a text, and ranks documents by MaxSim. */
export class LateInteraction extends TokenRanker {
  /**
   * @param {string | URL} source A folder (a URL, or a path that starts with "./" or "/") or a hub id (owner/name).
   * @param {OpenOptions} [options]
   * @returns {Promise<LateInteraction>}
   */
  static async from_pretrained(source, options = {}) {
    return this.open(browser, source, options);
  }
}

/**
 * The manifest of an artifact: its variants, the sizes of its files, its prompt. No other file is read.
 * @param {string | URL} source As for `from_pretrained`.
 * @param {Pick<OpenOptions, "revision" | "hub">} [options]
 * @returns {Promise<import("./artifact/contract.js").Manifest>}
 */
export async function read_manifest(source, options = {}) {
  return manifestOf(browser, source, options);
}

export { maxsim } from "./engine/maxsim.js";
export { ArtifactError, BackendError, HubError, InputError, ParityError, RerankError } from "./errors.js";
