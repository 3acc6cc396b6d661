/**
 * Checks the texts that callers give, and makes the text of documents with fields.
 */
import { InputError, show } from "../errors.js";

/** @typedef {string | Record<string, string> | string[]} Document */

/**
 * The text of each document: a string as it is, fields filled into the artifact's document template.
 * @param {Document[]} documents
 * @param {string | null} template
 * @param {string} place What messages call the list.
 * @returns {string[]}
 * @throws {InputError} For a document with fields where there is no template, or for a missing field.
 */
export function textsOf(documents, template, place) {
  if (!Array.isArray(documents)) throw new InputError(`${place} is ${show(documents)}; give a list of texts.`);
  // Unlike map(), this visits the holes of a list, too.
  return Array.from(documents, (document, i) => {
    const at = `${place}[${i}]`;
    return checkText(typeof document === "object" && document !== null ? fill(document, template, at) : document, at);
  });
}

/**
 * @param {unknown} text
 * @param {string} place
 * @returns {string}
 * @throws {InputError} If it is not a string, or holds half a character.
 */
export function checkText(text, place) {
  if (typeof text !== "string") throw new InputError(`${place} is ${show(text)}; give a string.`);
  const lone = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.exec(text);
  if (lone) {
    const code = lone[0].charCodeAt(0).toString(16);
    throw new InputError(`${place} holds \\u${code}, which is no character; call toWellFormed() on the text.`);
  }
  return text;
}

/**
 * @param {Record<string, string> | string[]} document
 * @param {string | null} template
 * @param {string} place
 */
function fill(document, template, place) {
  if (template === null) {
    throw new InputError(
      `${place} has fields, and this model reads plain texts; give a string, or export it with --document-template.`,
    );
  }
  const slots = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  if (Array.isArray(document) && document.length !== slots.length) {
    throw new InputError(`${place} has ${document.length} fields; give ${slots.length}: ${slots.join(", ")}.`);
  }
  const fields = new Map(
    Array.isArray(document) ? slots.map((slot, i) => [slot, document[i]]) : Object.entries(document),
  );
  for (const slot of slots) {
    if (typeof fields.get(slot) !== "string") {
      throw new InputError(`${place} has no text called "${slot}"; this model reads ${slots.join(", ")}.`);
    }
  }
  return template.replace(/\{(\w+)\}/g, (_, slot) => /** @type {string} */ (fields.get(slot)));
}
