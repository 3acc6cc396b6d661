/** What calls get when their worker breaks down, with a worker of the test's own. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { startWorker } from "../../../src/engine/worker_engine.js";
import { refuses } from "../../refuses.js";

/** @type {FakeWorker} */
let worker;

/** Answers the start, and no other call. */
class FakeWorker extends EventTarget {
  terminated = false;

  constructor() {
    super();
    worker = this;
  }

  /** @param {{id: number, method: string, args: unknown[]}} call */
  postMessage(call) {
    structuredClone(call);
    if (call.method !== "start" || this.terminated) return;
    setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data: { id: call.id, result: undefined } })));
  }

  terminate() {
    this.terminated = true;
  }
}

beforeEach(() => {
  Object.assign(globalThis, { Worker: FakeWorker, location: { origin: "null" } });
});

afterEach(() => {
  Object.assign(globalThis, { Worker: undefined, location: undefined });
});

function start() {
  const any = /** @type {any} */ ({});
  const attempt = { device: /** @type {const} */ ("wasm"), float16: false, browser: true, hidden_features: [] };
  return startWorker(attempt, any, any, undefined, () => undefined);
}

for (const [name, event, message] of /** @type {const} */ ([
  ["an error", () => Object.assign(new Event("error"), { message: "out of memory" }), /^the worker of wasm broke down \(out of memory\); open the model again\.$/],
  ["a message that cannot be read", () => new Event("messageerror"), /^the worker of wasm broke down \(a message from it cannot be read\); open/],
])) {
  test(`${name} in a worker ends the calls that wait and those that come later`, { timeout: 5000 }, async () => {
    const engine = await start();
    const waiting = [engine.score([]), engine.goldenTokens([])];
    worker.dispatchEvent(event());
    for (const call of waiting) await refuses(() => call, "BackendError", message);
    assert.ok(worker.terminated);
    await refuses(() => engine.score([]), "BackendError", message);
    await engine.dispose();
    await refuses(() => engine.score([]), "BackendError", message);
  });
}

test("an error before the start is done ends the start", { timeout: 5000 }, async () => {
  const started = start();
  worker.dispatchEvent(new Event("error"));
  await refuses(() => started, "BackendError", /broke down \(its script cannot be loaded\)/);
});

test("disposing ends the calls that wait and those that come later", { timeout: 5000 }, async () => {
  const engine = await start();
  const call = engine.score([]);
  await Promise.all([engine.dispose(), refuses(() => call, "RerankError", /disposed of while it was scoring; open it again/)]);
  await refuses(() => engine.score([]), "RerankError", /disposed of while it was scoring/);
});

test("arguments that no message holds end their call alone", { timeout: 5000 }, async () => {
  const engine = await start();
  await assert.rejects(engine.score([], /** @type {any} */ ({ instruction: () => "" })), { name: "DataCloneError" });
  await engine.dispose();
});
