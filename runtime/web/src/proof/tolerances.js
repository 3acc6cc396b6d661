/**
 * How far a device may be from the reference, in a column of the logits.
 */

import { DEVICE_DIFFERENCE, EXPORT_MARGIN } from "../artifact/contract.js";

/** @typedef {import("../artifact/contract.js").DeviceCheck} DeviceCheck */

/**
 * How far a device may be from the variant's logits in device_check.json.
 * @param {DeviceCheck} check
 * @param {string} variant
 * @param {number} column
 */
export function allowedFromCheck({ deviation }, variant, column) {
  return deviation[column] * DEVICE_DIFFERENCE[variant];
}

/**
 * How far a device may be from PyTorch: as far as the export was, and as far as a device may be from the export.
 * @param {DeviceCheck} check
 * @param {string} variant
 * @param {number} column
 * @param {Record<string, import("../artifact/contract.js").Parity>} parity What the export measured, by run.
 */
export function allowedFromPyTorch(check, variant, column, parity) {
  const measured = Math.max(...Object.values(parity).map((run) => run.max_logit_difference));
  return EXPORT_MARGIN * measured + allowedFromCheck(check, variant, column);
}
