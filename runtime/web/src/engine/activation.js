/**
 * From logits to the scores people see.
 */

/**
 * The scores of logits: 1 / (1 + exp(-scale * x)) for "sigmoid", unchanged for "identity".
 * @param {ArrayLike<number>} logits
 * @param {"sigmoid" | "identity"} activation
 * @param {number} [scale]
 * @returns {Float32Array}
 */
export function activate(logits, activation, scale = 1) {
  if (activation === "identity") return Float32Array.from(logits);
  return Float32Array.from(logits, (x) => sigmoid(x * scale));
}

/** @param {number} x */
function sigmoid(x) {
  // exp of a positive number could overflow, and would round small probabilities.
  const small = Math.exp(-Math.abs(x));
  return x < 0 ? small / (1 + small) : 1 / (1 + small);
}
