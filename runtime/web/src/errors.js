/**
 * Every error this package raises on purpose; a message gives the value, the place and the remedy in one sentence.
 *
 *     RerankError
 *     ├── InputError      a query, document or option that cannot be used
 *     ├── ArtifactError   an exported folder that is incomplete, altered, or of a newer format
 *     ├── HubError        files that cannot be downloaded
 *     ├── ParityError     a device that does not score like PyTorch
 *     └── BackendError    ONNX Runtime, or the device asked for, does not work here
 */
export class RerankError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = "RerankError";
  }
}

export class InputError extends RerankError {
  name = "InputError";
}

export class ArtifactError extends RerankError {
  name = "ArtifactError";
}

export class HubError extends RerankError {
  name = "HubError";
}

export class ParityError extends RerankError {
  name = "ParityError";
}

export class BackendError extends RerankError {
  name = "BackendError";
}

/** What a call gets whose model was disposed of before the call was done. */
export function disposedError() {
  return new RerankError("this model was disposed of while it was scoring; open it again with from_pretrained.");
}

const KINDS = { RerankError, InputError, ArtifactError, HubError, ParityError, BackendError };

/**
 * An error as plain data, for a message between a worker and its page.
 * @param {unknown} error
 * @returns {{name: string, message: string, stack?: string}}
 */
export function errorToData(error) {
  if (error instanceof Error) return { name: error.name, message: error.message, stack: error.stack };
  // Emscripten throws numbers, too.
  return { name: "Error", message: String(error) };
}

/**
 * The reverse of `errorToData`.
 * @param {{name: string, message: string, stack?: string}} data
 * @returns {Error}
 */
export function errorFromData({ name, message, stack }) {
  const error = Object.hasOwn(KINDS, name) ? new KINDS[/** @type {keyof typeof KINDS} */ (name)](message) : new Error(message);
  if (stack) error.stack = stack;
  return error;
}

/**
 * The first line of an error's message.
 * @param {unknown} error
 */
export function reason(error) {
  return errorToData(error).message.split("\n")[0];
}

/**
 * @param {unknown} value
 * @returns {string} The value for a message, shortened.
 */
export function show(value) {
  const text = written(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function written(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return String(value);
  try {
    const text = JSON.stringify(value);
    if (text !== undefined && text !== "{}") return text;
  } catch {
    // It refers to itself, or holds what JSON does not.
  }
  // JSON says nothing about functions, Sets and Maps.
  return Object.prototype.toString.call(value);
}
