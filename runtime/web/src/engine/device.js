/**
 * A device to try.
 */

/**
 * hidden_features: GPU features that ONNX Runtime must not see.
 * @typedef {import("../artifact/variants.js").Target & {hidden_features: string[]}} Attempt
 */
/**
 * Devices to try, best first; a sentence for each better one that is not there.
 * @typedef {{attempts: Attempt[], notes: string[]}} Plan
 */

/**
 * What messages call it.
 * @param {Attempt} attempt
 */
export function label({ device, hidden_features }) {
  return hidden_features.length ? `${device} without ${hidden_features.join(", ")}` : device;
}
