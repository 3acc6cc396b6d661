/**
 * The page's side of an engine in a worker. Every attempt on a device has a worker of its own: after one session that
 * failed, ONNX Runtime Web makes no other in the same worker or page.
 */
import { BackendError, unpack } from "./errors.js";

/** @typedef {import("./open.js").RunningEngine} RunningEngine */
/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting */

/**
 * @param {import("./open.js").Attempt} attempt
 * @param {import("./engine.js").Setup} setup
 * @param {import("./web_files.js").RemoteGraph} graph
 * @param {import("./open.js").OpenOptions} options
 * @param {(file: string, loaded: number) => void} progress
 * @returns {Promise<RunningEngine>}
 * @throws {BackendError} If the worker or its device does not start.
 */
export async function startWorker({ device, hide }, setup, graph, options, progress) {
  const worker = makeWorker();
  /** @type {Map<number, Waiting>} */
  const waiting = new Map();
  let calls = 0;

  worker.addEventListener("message", ({ data }) => {
    if (data.progress) return progress(.../** @type {[string, number]} */ (data.progress));
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) call?.reject(unpack(data.error));
    else call?.resolve(data.result);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    stop(`the worker of ${device} broke down (${event.message || "its script cannot be loaded"}); reload the page.`);
  });

  /** @param {string} message */
  function stop(message) {
    worker.terminate();
    for (const call of waiting.values()) call.reject(new BackendError(message));
    waiting.clear();
  }

  /**
   * @param {string} method
   * @param {any[]} args
   * @returns {Promise<any>}
   */
  function call(method, ...args) {
    const id = calls++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, method, args });
    });
  }

  try {
    await call("start", { device, hide, setup, graph, modules: options.modules ?? resolved(device) });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return {
    score: (...args) => call("score", ...args),
    encode: (...args) => call("encode", ...args),
    late: (...args) => call("late", ...args),
    parity: (...args) => call("parity", ...args),
    dispose: async () => stop("this model was disposed of while it was scoring."),
  };
}

function makeWorker() {
  const { href, origin } = new URL("./worker.js", import.meta.url);
  if (origin === globalThis.location.origin) {
    // Written out, because bundlers look for exactly this.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  }
  // A worker's own script must be of the page's origin; what it imports need not.
  const script = URL.createObjectURL(new Blob([`import ${JSON.stringify(href)};`], { type: "text/javascript" }));
  return new Worker(script, { type: "module" });
}

/**
 * A page without a bundler names its libraries in an import map, which its workers do not see: resolve them here.
 * @param {string} device
 */
function resolved(device) {
  try {
    const ort = import.meta.resolve(`onnxruntime-web/${device}`);
    return { ort, tokenizers: import.meta.resolve("@huggingface/tokenizers") };
  } catch {
    return null;
  }
}
