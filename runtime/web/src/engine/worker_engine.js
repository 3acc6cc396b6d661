/**
 * The page's side of an engine in a worker. Every attempt on a device gets its own worker, because ONNX Runtime Web makes
 * no other session in a worker or page where one failed.
 */
import { BackendError, disposedError, errorFromData } from "../errors.js";

/** @typedef {import("./engine.js").RunningEngine} RunningEngine */
/** @typedef {import("./worker.js").Modules} Modules */
/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting */

/**
 * @param {import("./device.js").Attempt} attempt
 * @param {import("./engine.js").Setup} setup
 * @param {import("../artifact/web_files.js").RemoteGraph} graph
 * @param {Modules | undefined} modules
 * @param {import("../artifact/files.js").Progress} progress
 * @returns {Promise<RunningEngine>}
 * @throws {BackendError} If the worker or its device does not start.
 */
export async function startWorker({ device, hidden_features }, setup, graph, modules, progress) {
  const worker = makeWorker();
  /** @type {Map<number, Waiting>} */
  const waiting = new Map();
  let calls = 0;
  /** Why the worker answers no more. @type {Error | undefined} */
  let end;

  worker.addEventListener("message", ({ data }) => {
    if (data.progress) return progress(.../** @type {[string, number]} */ (data.progress));
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) call?.reject(errorFromData(data.error));
    else call?.resolve(data.result);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    stop(broken(event.message || "its script cannot be loaded"));
  });
  worker.addEventListener("messageerror", () => stop(broken("a message from it cannot be read")));

  /** @param {string} why */
  function broken(why) {
    return new BackendError(`the worker of ${device} broke down (${why}); open the model again.`);
  }

  /** @param {Error} error What calls get from now on, those that wait included. */
  function stop(error) {
    end ??= error;
    worker.terminate();
    for (const call of waiting.values()) call.reject(end);
    waiting.clear();
  }

  /**
   * @param {string} method
   * @param {any[]} args
   * @returns {Promise<any>}
   */
  function call(method, ...args) {
    return new Promise((resolve, reject) => {
      if (end) throw end;
      const id = calls++;
      worker.postMessage({ id, method, args });
      waiting.set(id, { resolve, reject });
    });
  }

  try {
    await call("start", { device, hidden_features, setup, graph, modules: modules ?? resolvedModules(device) });
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return {
    score: (...args) => call("score", ...args),
    encode: (...args) => call("encode", ...args),
    late: (...args) => call("late", ...args),
    goldenTokens: (...args) => call("goldenTokens", ...args),
    goldenLogits: (...args) => call("goldenLogits", ...args),
    dispose: async () => stop(disposedError()),
  };
}

function makeWorker() {
  const { href, origin } = new URL("./worker.js", import.meta.url);
  if (origin === globalThis.location.origin) {
    // Bundlers look for exactly this expression.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  }
  // A worker's own script must come from the page's origin; its imports need not.
  const script = URL.createObjectURL(new Blob([`import ${JSON.stringify(href)};`], { type: "text/javascript" }));
  return new Worker(script, { type: "module" });
}

/**
 * The addresses of the libraries. A page without a bundler names them in an import map, which its workers do not see.
 * @param {string} device
 * @returns {Modules | null}
 */
function resolvedModules(device) {
  try {
    const ort = import.meta.resolve(`onnxruntime-web/${device}`);
    return { ort, tokenizers: import.meta.resolve("@huggingface/tokenizers") };
  } catch {
    return null;
  }
}
