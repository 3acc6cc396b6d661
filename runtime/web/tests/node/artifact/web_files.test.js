/** The cache of browsers, in Node with a cache and a network of its own. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, test } from "node:test";
import { fetchGraph, webFiles } from "../../../src/artifact/web_files.js";
import { refuses } from "../../refuses.js";

const CONTENT = Buffer.from("the content of a file");
const SHA256 = createHash("sha256").update(CONTENT).digest("hex");
const FILE = { name: "onnx/model.onnx", url: "https://host/folder/onnx/model.onnx", bytes: CONTENT.length, sha256: SHA256 };
const { fetch } = globalThis;

afterEach(() => {
  Object.assign(globalThis, { caches: undefined, location: undefined, fetch });
});

/**
 * Load the file with a cache.
 * @param {Map<string, () => Response>} entries
 */
async function load(entries) {
  let requests = 0;
  const cache = {
    match: async (/** @type {string} */ key) => entries.get(key)?.(),
    put: async (/** @type {string} */ key, /** @type {Response} */ response) => {
      const body = await response.arrayBuffer();
      entries.set(key, () => new Response(body));
    },
  };
  Object.assign(globalThis, {
    caches: { open: async () => cache },
    fetch: async () => (requests++, new Response(CONTENT)),
  });
  const { model } = await fetchGraph({ model: FILE, data: [], requantize: null, past: null }, () => undefined);
  return { content: Buffer.from(/** @type {Uint8Array} */ (model)), requests };
}

test("a file is kept under its hash, and read from there", async () => {
  const entries = new Map();
  assert.deepEqual(await load(entries), { content: CONTENT, requests: 1 });
  assert.deepEqual([...entries.keys()], [`https://host/.onnxrank/${SHA256}`]);
  assert.deepEqual(await load(entries), { content: CONTENT, requests: 0 });
});

test("addresses of folders", async () => {
  Object.assign(globalThis, { location: new URL("https://host/page/") });
  /** @param {unknown} source */
  const place = async (source) => (await webFiles(/** @type {any} */ (source), {})).place;
  assert.equal(await place("./a"), "https://host/page/a/");
  assert.equal(await place("/a/"), "https://host/a/");
  assert.equal(await place("app://host/a"), "app://host/a/");
  assert.equal(await place("owner/name"), "owner/name");
  for (const source of ["http://[", "data:text/plain,x", "mailto:x", "C:\\models", "", 5, null, undefined]) {
    await refuses(() => place(source), "InputError", /is neither a folder/);
  }
});

test("an entry that is too short, or cannot be read, is downloaded again", async () => {
  const broken = () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error("disk")) }));
  for (const entry of [() => new Response(CONTENT.subarray(1)), broken]) {
    const entries = new Map([[`https://host/.onnxrank/${SHA256}`, entry]]);
    assert.deepEqual(await load(entries), { content: CONTENT, requests: 1 });
    assert.deepEqual(await load(entries), { content: CONTENT, requests: 0 });
  }
});
