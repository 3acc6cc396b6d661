/** Downloads that break, over a server that misbehaves. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { download } from "../../../src/artifact/download.js";
import { Reranker } from "../../../src/node.js";
import { ARTIFACTS } from "../../artifacts.js";
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
  assert.deepEqual(Buffer.from(await download(url, FILE, (loaded) => seen.push(loaded))), CONTENT);
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
  assert.deepEqual(Buffer.from(await download(url, FILE, () => undefined)), CONTENT);
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
