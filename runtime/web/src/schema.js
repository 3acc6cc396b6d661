/**
 * Strict JSON shapes: every field required, every unknown key refused.
 */

/** @typedef {(value: unknown, place: string) => void} Check Throws SchemaError. */

/** The data does not have the declared shape; the message names the place and what was found. */
export class SchemaError extends Error {}

/**
 * @param {"string" | "number" | "boolean"} type
 * @returns {Check}
 */
const primitive = (type) => (value, place) => {
  if (typeof value !== type) refuse(value, place, type);
};

export const string = primitive("string");
export const number = primitive("number");
export const boolean = primitive("boolean");

/** @type {Check} */
export const integer = (value, place) => {
  if (!Number.isInteger(value)) refuse(value, place, "integer");
};

/** @type {Check} */
export const setting = (value, place) => {
  if (!["string", "number", "boolean"].includes(typeof value)) refuse(value, place, "setting");
};

/**
 * @param {Check} check
 * @returns {Check}
 */
export const nullable = (check) => (value, place) => {
  if (value !== null) check(value, place);
};

/**
 * @param {Check} check
 * @returns {Check}
 */
export const list = (check) => (value, place) => {
  if (!Array.isArray(value)) return refuse(value, place, "list");
  value.forEach((item, i) => check(item, `${place}[${i}]`));
};

/**
 * @param {Check} check
 * @returns {Check}
 */
export const map = (check) => (value, place) => {
  for (const [key, item] of Object.entries(entries(value, place))) check(item, `${place}.${key}`);
};

/**
 * @param {Record<string, Check>} fields
 * @returns {Check}
 */
export const record = (fields) => (value, place) => {
  const found = entries(value, place);
  const unknown = Object.keys(found).find((key) => !Object.hasOwn(fields, key));
  if (unknown !== undefined) throw new SchemaError(`${at(place)} has the unknown key "${unknown}"`);
  for (const [name, check] of Object.entries(fields)) {
    if (!Object.hasOwn(found, name)) throw new SchemaError(`${at(place)} lacks the key "${name}"`);
    check(found[name], place ? `${place}.${name}` : name);
  }
};

/**
 * @param {unknown} value
 * @param {string} place
 * @returns {Record<string, unknown>}
 */
function entries(value, place) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(value, place, "object");
  return /** @type {Record<string, unknown>} */ (value);
}

/**
 * @param {unknown} value
 * @param {string} place
 * @param {string} kind
 * @returns {never}
 */
function refuse(value, place, kind) {
  throw new SchemaError(`${at(place)} should be ${kind}, not ${String(JSON.stringify(value)).slice(0, 60)}`);
}

/** @param {string} place */
function at(place) {
  return place || "the top level";
}
