/**
 * Addresses of repositories on a model hub.
 */
import { InputError, show } from "../errors.js";

// The hub's own rule: ASCII, no "--" or "..", a word character at both ends, at most 96 characters, not ".git".
const REPO_ID = /^(?!.*(--|\.\.))(?!.*\.git$)\w([\w.-]*\w)?\/\w([\w.-]{0,94}\w)?$/;

/**
 * The address under which a hub serves a repository's files.
 * @param {string} id owner/name
 * @param {string} [revision] Branch, tag or commit.
 * @param {string} [hub] Its address.
 * @returns {string}
 * @throws {InputError} If one of them is not of that form.
 */
export function hubUrl(id, revision = "main", hub = "https://huggingface.co") {
  if (typeof id !== "string" || !REPO_ID.test(id)) throw noSource(id);
  if (typeof revision !== "string" || ["", ".", ".."].includes(revision) || /\p{Surrogate}/u.test(revision)) {
    throw new InputError(`revision is ${show(revision)}; give a branch, a tag or a commit.`);
  }
  if (typeof hub !== "string" || !/^https?:/.test(hub) || !URL.canParse(hub)) {
    throw new InputError(`hub is ${show(hub)}; give its address, such as "https://huggingface.co".`);
  }
  return `${hub.replace(/\/+$/, "")}/${id}/resolve/${encodeURIComponent(revision)}/`;
}

/**
 * What is said about a source that is no artifact's place.
 * @param {unknown} source
 */
export function noSource(source) {
  return new InputError(
    `${show(source)} is neither a folder (a URL, or a path that starts with "./" or "/") nor a hub id (owner/name).`,
  );
}
