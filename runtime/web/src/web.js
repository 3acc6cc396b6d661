/**
 * onnxrank in a page or a worker.
 */
import { TokenRanker } from "./late_interaction.js";
import { startWorker } from "./remote.js";
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

export { maxsim } from "./maxsim.js";
export { ArtifactError, BackendError, HubError, InputError, ParityError, RerankError } from "./errors.js";
