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
 * @throws {InputError} If `id` is not of that form.
 */
export function hubUrl(id, revision = "main", hub = "https://huggingface.co") {
  if (typeof id !== "string" || !REPO_ID.test(id)) {
    throw new InputError(
      `${show(id)} is neither a folder (a URL, or a path that starts with "./" or "/") nor a hub id (owner/name).`,
    );
  }
  return `${hub}/${id}/resolve/${encodeURIComponent(revision)}/`;
}
