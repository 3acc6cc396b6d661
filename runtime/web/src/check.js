/**
 * The self-check: `device_check.json` on the user's own device, right after loading.
 */
import { ArtifactError, ParityError, reason } from "./errors.js";
import { integer, list, map, number, record, string } from "./schema.js";

/** @typedef {import("./golden.js").GoldenPair} GoldenPair */
/** @typedef {import("./parity.js").Parity} Parity */
/**
 * logits: of each variant's portable graph, as ONNX Runtime gives them on a processor. packed: of the packed graphs.
 * deviation: the standard deviation of each column of the golden logits.
 * @typedef {{pairs: Omit<GoldenPair, "logits">[], logits: Record<string, number[][]>, packed: Record<string, number[][]>,
 *   deviation: number[]}} DeviceCheck
 */

export const DEVICE_CHECK = "device_check.json";

// What a device that works may differ, in standard deviations of the golden logits. float32 differed by 1e-5. 4 and 8
// bits round activations, where the order of a sum counts: by up to 0.05, on random weights. The broken kernels that
// were seen differ by 0.5 and more.
const ALLOWED = { fp32: 0.01, fp16: 0.15, int8: 0.15, q4: 0.15, q4f16: 0.15 };
// As a multiple of the difference from PyTorch that the export measured, for the proof over all golden pairs.
const STRAY = 1.1;

const shape = record({
  pairs: list(
    record({ query: string, document: string, query_token_ids: list(integer), token_ids: list(integer) }),
  ),
  logits: map(list(list(number))),
  packed: map(list(list(number))),
  deviation: list(number),
});

/**
 * @param {string} text The text of device_check.json.
 * @returns {DeviceCheck}
 * @throws {ArtifactError} If it is malformed.
 */
export function readDeviceCheck(text) {
  try {
    const data = JSON.parse(text);
    shape(data, "");
    return data;
  } catch (error) {
    throw new ArtifactError(`${DEVICE_CHECK} cannot be read (${reason(error)}); export the artifact again.`, {
      cause: error,
    });
  }
}

/**
 * The pairs of the check, with what a variant should give for them.
 * @param {DeviceCheck} check
 * @param {string} name The variant.
 * @param {boolean} packed
 * @returns {GoldenPair[]}
 */
export function checkPairs(check, name, packed) {
  const logits = packed ? check.packed : check.logits;
  return check.pairs.map((pair, i) => ({ ...pair, logits: logits[name][i] }));
}

/**
 * How far a device may be from what its variant should give.
 * @param {DeviceCheck} check
 * @param {string} name The variant.
 * @param {number} column Of the logits.
 */
export function allowedHere({ deviation }, name, column) {
  return deviation[column] * ALLOWED[/** @type {keyof typeof ALLOWED} */ (name)];
}

/**
 * How far a variant may be from PyTorch on a device that works.
 * @param {DeviceCheck} check
 * @param {string} name
 * @param {number} column
 * @param {import("./manifest.js").Variant} variant
 */
export function allowedFromPyTorch(check, name, column, variant) {
  const recorded = Math.max(...Object.values(variant.parity).map((way) => way.max_logit_difference));
  return STRAY * recorded + allowedHere(check, name, column);
}

/**
 * @param {Parity} parity
 * @param {number} allowed
 * @param {string} what Which scores are meant, and where.
 * @throws {ParityError} If the difference is larger than allowed.
 */
export function checkParity({ max_logit_difference: found, worst_tokens }, allowed, what) {
  if (found <= allowed) return;
  throw new ParityError(
    `${what} strays: its logits are off by up to ${found.toPrecision(3)}, most at ${worst_tokens} tokens, and ` +
      `${allowed.toPrecision(3)} is allowed; take another device or dtype.`,
  );
}
