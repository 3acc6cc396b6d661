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
 */
export function pairsToCheck(check, variant, graph) {
  return check.pairs.map((pair, i) => ({ ...pair, logits: check[graph][variant][i] }));
}
