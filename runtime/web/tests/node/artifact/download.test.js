/** Downloads that break, over a server that misbehaves. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, test } from "node:test";
import { promisify } from "node:util";
import { DEVICE_CHECK, MANIFEST, TOKENIZER } from "../../../src/artifact/contract.js";
import { download, downloadText } from "../../../src/artifact/download.js";
import { Reranker } from "../../../src/node.js";
import { ARTIFACTS, textOf, WEB } from "../../artifacts.js";
import { refuses } from "../../refuses.js";
import { serve } from "../../server.js";

const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
const FILE = { name: "weights", bytes: CONTENT.length, sha256: createHash("sha256").update(CONTENT).digest("hex") };
/** @type {(() => void)[]} */
const closing = [];

afterEach(() => closing.splice(0).forEach((close) => close()));

/**
 * @param {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => void} answer
 */
async function misbehaving(answer) {
  const server = await serve({}, (request, response) => {
    answer(request, response);
    return true;
  });
  closing.push(server.close);
  return `${server.url}/weights`;
}

test("a connection that breaks twice is resumed where it broke", async () => {
  /** @type {(string | undefined)[]} */
  const ranges = [];
  const url = await misbehaving((request, response) => {
    ranges.push(request.headers.range);
    const start = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
    response.writeHead(start ? 206 : 200, { "Content-Length": CONTENT.length - start });
    if (ranges.length > 2) return response.end(CONTENT.subarray(start));
    response.write(CONTENT.subarray(start, start + 100_000), () => setTimeout(() => response.destroy(), 50));
  });
  /** @type {number[]} */
  const seen = [];
  assert.deepEqual(Buffer.from((await download(url, FILE, (loaded) => seen.push(loaded))).bytes), CONTENT);
  assert.equal(ranges.length, 3);
  assert.equal(ranges[0], undefined);
  assert.match(ranges[1] ?? "", /^bytes=[1-9]\d+-$/);
  assert.equal(seen.at(-1), CONTENT.length);
});

test("a server without ranges is read from the start again", async () => {
  let requests = 0;
  const url = await misbehaving((_, response) => {
    response.writeHead(200, { "Content-Length": CONTENT.length });
    if (requests++) return response.end(CONTENT);
    response.write(CONTENT.subarray(0, 1000), () => setTimeout(() => response.destroy(), 50));
  });
  assert.deepEqual(Buffer.from((await download(url, FILE, () => undefined)).bytes), CONTENT);
});

test("a text whose connection breaks is read again", async () => {
  let requests = 0;
  const url = await misbehaving((_, response) => {
    response.writeHead(200, { "Content-Length": 4 });
    if (requests++) return response.end("text");
    response.write("te", () => setTimeout(() => response.destroy(), 50));
  });
  assert.equal(await downloadText(url), "text");
});

test("a network that stays broken is said to be", async () => {
  const url = await misbehaving((_, response) => response.destroy());
  await assert.rejects(download(url, FILE, () => undefined), {
    name: "HubError",
    message: /^the download of .* broke off \(.*\): check the network and load again, complete files are kept\.$/,
  });
});

for (const [status, name, message] of /** @type {const} */ ([
  [404, "ArtifactError", /is missing; export or upload the artifact again\.$/],
  [401, "HubError", /access to .* is refused \(status 401\)/],
  [418, "HubError", /status 418 .*; check the address\.$/],
])) {
  test(`status ${status}`, async () => {
    const url = await misbehaving((_, response) => response.writeHead(status).end());
    await assert.rejects(download(url, FILE, () => undefined), { name, message });
  });
}

test("other bytes, more bytes", async () => {
  const altered = Buffer.from(CONTENT);
  altered[7] ^= 1;
  for (const content of [altered, Buffer.concat([CONTENT, CONTENT])]) {
    const url = await misbehaving((_, response) => response.writeHead(200).end(content));
    await assert.rejects(download(url, FILE, () => undefined), { name: "ArtifactError", message: /its hash differs/ });
  }
});

test("Node keeps what it downloads, and reports progress", async () => {
  const server = await serve({ "/owner/name/resolve/v1/": `${ARTIFACTS}demo` });
  closing.push(server.close);
  const cache_dir = mkdtempSync(join(tmpdir(), "onnxrank-"));
  /** @type {import("../../../src/progress.js").ProgressInfo[]} */
  const seen = [];
  const options = { dtype: "q4", revision: "v1", hub: server.url, cache_dir };
  const model = await Reranker.from_pretrained("owner/name", { ...options, progress_callback: (info) => seen.push(info) });
  const [score] = await model.predict([["sort an array", "numpy.sort"]]);
  await model.dispose();
  const totals = seen.filter((info) => info.status === "progress_total");
  assert.equal(totals.at(-1)?.progress, 100);
  assert.deepEqual(seen.slice(-2).map((info) => info.status), ["loading", "checking"]);

  const [folder] = readdirSync(cache_dir);
  assert.ok(existsSync(join(cache_dir, folder, "onnx/model_q4.onnx_data")));
  const again = await Reranker.from_pretrained("owner/name", options);
  assert.deepEqual([...(await again.predict([["sort an array", "numpy.sort"]]))], [score]);
  await again.dispose();
  await assert.rejects(Reranker.from_pretrained("owner/other", options), { message: /has no reranker.json/ });
});

/** Loads the demo into a cache at the same time several times: `node -e LOADS cache_dir address`. */
const LOADS = `
  const { Reranker } = await import(${JSON.stringify(`${WEB}src/node.js`)});
  const [cache_dir, hub] = process.argv.slice(1);
  const load = () => Reranker.from_pretrained("owner/name", { dtype: "q4", revision: "v1", hub, cache_dir });
  for (const model of await Promise.all([load(), load(), load()])) {
    await model.predict([["sort an array", "numpy.sort"]]);
    await model.dispose();
  }`;

test("loads at the same time, in one process and in two, share a cache and leave nothing else in it", async () => {
  const server = await serve({ "/owner/name/resolve/v1/": `${ARTIFACTS}demo` });
  closing.push(server.close);
  const cache_dir = mkdtempSync(join(tmpdir(), "onnxrank-"));
  const run = ["--input-type=module", "-e", LOADS, cache_dir, server.url];
  await Promise.all([1, 2].map(() => promisify(execFile)(process.execPath, run)));
  const names = readdirSync(cache_dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const { q4 } = JSON.parse(textOf("demo", MANIFEST)).variants;
  const graph = [q4.prefix, q4.requantize, q4.past.file, `${q4.padded}_data`].map((path) => basename(path));
  const expected = [TOKENIZER, DEVICE_CHECK, ...graph];
  assert.deepEqual(names.map(({ name }) => name).sort(), expected.sort());
});

test("a cache that cannot be written is said to be", async () => {
  const server = await serve({ "/owner/name/resolve/v1/": `${ARTIFACTS}demo` });
  closing.push(server.close);
  const cache_dir = join(mkdtempSync(join(tmpdir(), "onnxrank-")), "file");
  writeFileSync(cache_dir, "");
  const options = { dtype: "q4", revision: "v1", hub: server.url, cache_dir };
  await refuses(() => Reranker.from_pretrained("owner/name", options), "HubError", /onnx.* cannot be written \(E.*\); make room, or give another cache_dir/);
});
