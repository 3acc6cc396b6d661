/**
 * Downloads one file over HTTP into memory, resumes where the network breaks, and checks it against the manifest.
 */
import { ArtifactError, HubError, reason } from "../errors.js";

/** @typedef {import("./files.js").FileToFetch} FileToFetch */
/** @typedef {{bytes: Uint8Array<ArrayBuffer>, hashed: boolean}} Download hashed: whether the bytes have the file's hash. */

// The download is given up after so many attempts in a row that bring no byte.
const ATTEMPTS = 4;
// Bytes; WebCrypto hashes a file in one piece, and browsers refuse larger ones.
const LARGEST_HASHED = 2 ** 29;
const REFUSED = "accept its licence on its page, or serve a copy of the folder yourself";

/**
 * @param {string} url
 * @param {FileToFetch} file
 * @param {(loaded: number) => void} progress
 * @returns {Promise<Download>}
 * @throws {HubError} If it cannot be downloaded.
 * @throws {ArtifactError} If it is missing, or not the file that was exported.
 */
export async function download(url, file, progress) {
  const bytes = allocate(file);
  let loaded = 0;
  await retry(url, () => loaded, async () => {
    const response = await request(url, loaded ? { Range: `bytes=${loaded}-` } : {});
    // A server that does not support ranges sends the file from its start.
    if (response.status !== 206) loaded = 0;
    for await (const chunk of stream(response)) {
      if (loaded + chunk.length > file.bytes) throw altered(url);
      bytes.set(chunk, loaded);
      loaded += chunk.length;
      progress(loaded);
    }
    if (loaded < file.bytes) throw new Broken(`it ended after ${loaded} of ${file.bytes} bytes`);
  });
  // crypto.subtle exists in secure contexts only.
  const hashed = file.bytes <= LARGEST_HASHED && globalThis.crypto?.subtle !== undefined;
  if (hashed && (await sha256(bytes)) !== file.sha256) throw altered(url);
  return { bytes, hashed };
}

/**
 * A small file whose size is not known yet, or null if the server has none.
 * @param {string} url
 * @returns {Promise<string | null>}
 * @throws {HubError}
 */
export async function downloadText(url) {
  /** @type {string | null} */
  let text = null;
  await retry(url, () => 0, async () => {
    try {
      const response = await request(url, {});
      text = await response.text().catch((error) => {
        throw new Broken(reason(error), { cause: error });
      });
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
    }
  });
  return text;
}

/**
 * @returns {Promise<string>} Hex digest.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The connection broke, or the server is busy; the download is tried again. */
class Broken extends Error {}

class Missing extends ArtifactError {}

/**
 * @param {string} url
 * @param {() => number} loaded
 * @param {() => Promise<void>} attempt
 */
async function retry(url, loaded, attempt) {
  for (let failures = 0; ; ) {
    const before = loaded();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      failures = loaded() > before ? 1 : failures + 1;
      if (failures >= ATTEMPTS) {
        throw new HubError(
          `the download of ${url} broke off (${error.message}): check the network and load again, complete files are kept.`,
          { cause: error },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** failures));
    }
  }
}

/**
 * @param {string} url
 * @param {Record<string, string>} headers
 */
async function request(url, headers) {
  let response;
  try {
    response = await fetch(url, { headers });
  } catch (error) {
    throw new Broken(reason(error), { cause: error });
  }
  if (response.ok) return response;
  const { status } = response;
  await response.body?.cancel();
  if (status === 404) throw new Missing(`${url} is missing; export or upload the artifact again.`);
  if (status === 401 || status === 403) throw new HubError(`access to ${url} is refused (status ${status}): ${REFUSED}.`);
  if (status === 429 || status >= 500) throw new Broken(`the server answered with status ${status}`);
  throw new HubError(`the server answered with status ${status} for ${url}; check the address.`);
}

/**
 * @param {Response} response
 * @returns {AsyncGenerator<Uint8Array>}
 */
async function* stream(response) {
  const reader = response.body?.getReader();
  if (!reader) return;
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      throw new Broken(reason(error), { cause: error });
    }
    if (part.done) return;
    yield part.value;
  }
}

/** @param {FileToFetch} file */
function allocate({ name, bytes }) {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new HubError(
      `${name} takes ${Math.round(bytes / 1e6)} MB, which there is no memory for here; close other tabs or take a smaller dtype.`,
      { cause: error },
    );
  }
}

/** @param {string} url */
function altered(url) {
  return new ArtifactError(`${url} is not the file that was exported (its hash differs); export or upload it again.`);
}
