/**
 * onnxrank in a page or a worker.
 */
import { TokenRanker } from "./late_interaction.js";
import { startWorker } from "./remote.js";
import { manifestOf } from "./open.js";
import { PairReranker } from "./reranker.js";
import { webDevices } from "./web_devices.js";
import { webFiles } from "./web_files.js";

/** @typedef {import("./open.js").OpenOptions} OpenOptions */

const browser = { files: webFiles, devices: webDevices, start: startWorker };

/** Ranks documents by relevance to a query. */
export class Reranker extends PairReranker {
  /**
   * @param {string} source A folder (a URL, or a path that starts with "./" or "/") or a hub id (owner/name).
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
   * @param {string} source A folder (a URL, or a path that starts with "./" or "/") or a hub id (owner/name).
   * @param {OpenOptions} [options]
   * @returns {Promise<LateInteraction>}
   */
  static async from_pretrained(source, options = {}) {
    return this.open(browser, source, options);
  }
}

/**
 * What an artifact holds, read before anything large is: its variants, the sizes of its files, its prompt.
 * @param {string} source As for `from_pretrained`.
 * @param {Pick<OpenOptions, "revision" | "hub">} [options]
 * @returns {Promise<import("./manifest.js").Manifest>}
 */
export async function read_manifest(source, options = {}) {
  return manifestOf(browser, source, options);
}

export { maxsim } from "./maxsim.js";
export { ArtifactError, BackendError, HubError, InputError, ParityError, RerankError } from "./errors.js";
