/**
 * `device_check.json`: what each graph gives on a CPU for a few golden pairs.
 */
import { ArtifactError, reason } from "../errors.js";
import { DEVICE_CHECK } from "./contract.js";
import { checkShape } from "./schema.js";

/** @typedef {import("./contract.js").DeviceCheck} DeviceCheck */

/**
 * @param {string} text The text of device_check.json.
 * @returns {DeviceCheck}
 * @throws {ArtifactError} If it is malformed.
 */
export function readDeviceCheck(text) {
  try {
    const data = JSON.parse(text);
    checkShape(data, "DeviceCheck");
    return data;
  } catch (error) {
    throw new ArtifactError(`${DEVICE_CHECK} cannot be read (${reason(error)}); export the artifact again.`, {
      cause: error,
    });
  }
}

/**
 * The pairs of the check, each with the logits that a variant's graph should give.
 * @param {DeviceCheck} check
 * @param {string} variant
 * @param {"padded" | "prefix"} graph
 * @returns {import("./contract.js").GoldenPair[]}
 * @throws {ArtifactError} If it lacks logits of the graph.
 */
export function pairsToCheck(check, variant, graph) {
  const logits = Object.hasOwn(check[graph], variant) ? check[graph][variant] : [];
  if (logits.length !== check.pairs.length || logits.some((row) => row.length !== check.deviation.length)) {
    throw new ArtifactError(
      `${DEVICE_CHECK} does not have the logits that ${variant}'s ${graph} graph gives for each pair; export the artifact again.`,
    );
  }
  return check.pairs.map((pair, i) => ({ ...pair, logits: logits[i], relevance: null }));
}
