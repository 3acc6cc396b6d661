/**
 * How far a device may be from the reference, in a column of the logits.
 */

/** @typedef {import("../artifact/contract.js").DeviceCheck} DeviceCheck */

// How far a device that works may be from `device_check.json`, in standard deviations of the golden logits. float32
// differed by 1e-5. 4 and 8 bits round activations, so that the order of a sum counts: by up to 0.05, on random weights.
// The broken kernels that were seen differ by 0.5 and more.
/** @type {Record<string, number>} */
const ALLOWED = { fp32: 0.01, fp16: 0.15, int8: 0.15, q4: 0.15, q4f16: 0.15 };
// How far a device may be from PyTorch, as a multiple of the difference that the export measured.
const EXPORT_MARGIN = 1.1;

/**
 * How far a device may be from the variant's logits in device_check.json.
 * @param {DeviceCheck} check
 * @param {string} variant
 * @param {number} column
 */
export function allowedFromCheck({ deviation }, variant, column) {
  return deviation[column] * ALLOWED[variant];
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
