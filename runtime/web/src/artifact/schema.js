/**
 * Checks parsed JSON against the shapes of contract.js: every field is required, every unknown key refused.
 */
import { SHAPES } from "./contract.js";

/** @typedef {import("./contract.js").Shape} Shape */

/** The data does not have the declared shape; the message names the place and what was found. */
export class SchemaError extends Error {}

/** @type {Record<string, (value: unknown) => boolean>} */
const PRIMITIVES = {
  string: (value) => typeof value === "string",
  integer: (value) => Number.isInteger(value),
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

/**
 * @param {unknown} value Parsed JSON.
 * @param {Shape} shape
 * @throws {SchemaError} For a missing field, an unknown key or a value of the wrong type.
 */
export function checkShape(value, shape) {
  const problem = problemOf(value, shape, "");
  if (problem) throw new SchemaError(problem);
}

/**
 * @param {unknown} value
 * @param {Shape} shape
 * @param {string} place
 * @returns {string | undefined}
 */
function problemOf(value, shape, place) {
  if (typeof shape === "string") {
    if (!Object.hasOwn(PRIMITIVES, shape)) return fieldProblem(value, SHAPES[shape], place);
    return PRIMITIVES[shape](value) ? undefined : unfitting(value, shape, place);
  }
  if ("list" in shape) {
    if (!Array.isArray(value)) return unfitting(value, "list", place);
    return first(value.map((item, i) => problemOf(item, shape.list, `${place}[${i}]`)));
  }
  if ("map" in shape) {
    if (!isObject(value)) return unfitting(value, "object", place);
    return first(Object.entries(value).map(([key, item]) => problemOf(item, shape.map, `${place}.${key}`)));
  }
  if ("one_of" in shape) {
    const fits = shape.one_of.some((choice) => choice === value);
    return fits ? undefined : unfitting(value, shape.one_of.map((choice) => `"${choice}"`).join(" or "), place);
  }
  const problems = shape.either.map((choice) => problemOf(value, choice, place));
  return problems.includes(undefined) ? undefined : problems[0];
}

/**
 * @param {unknown} value
 * @param {Record<string, Shape>} fields
 * @param {string} place
 */
function fieldProblem(value, fields, place) {
  if (!isObject(value)) return unfitting(value, "object", place);
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(fields, key));
  if (unknown !== undefined) return `${at(place)} has the unknown key "${unknown}"`;
  const missing = Object.keys(fields).find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${at(place)} lacks the key "${missing}"`;
  return first(Object.entries(fields).map(([name, shape]) => problemOf(value[name], shape, place ? `${place}.${name}` : name)));
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {(string | undefined)[]} problems */
function first(problems) {
  return problems.find((problem) => problem !== undefined);
}

/**
 * @param {unknown} value
 * @param {string} expected
 * @param {string} place
 */
function unfitting(value, expected, place) {
  return `${at(place)} should be ${expected}, not ${String(JSON.stringify(value)).slice(0, 60)}`;
}

/** @param {string} place */
function at(place) {
  return place || "the top level";
}
