/**
 * A server of files for tests, on a free port of this machine.
 */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/**
 * @param {Record<string, string>} folders By the path they are served under, such as "/web/".
 * @param {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => boolean} [first]
 *   Answers what the folders should not; true if it did.
 * @returns {Promise<{url: string, close: () => void}>}
 */
export async function serve(folders, first = () => false) {
  const server = createServer(async (request, response) => {
    if (first(request, response)) return;
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
    const prefix = Object.keys(folders).find((start) => path.startsWith(start));
    const file = prefix && join(folders[prefix], path.slice(prefix.length));
    const found = file && (await stat(file).catch(() => undefined));
    if (!file || !found || !found.isFile()) return void response.writeHead(404).end();
    response.writeHead(200, {
      "Content-Type": TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? "application/octet-stream",
      "Content-Length": found.size,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${address.port}`, close: () => server.close() };
}
