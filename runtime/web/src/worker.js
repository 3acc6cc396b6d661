/**
 * The worker's side: an engine that a page calls by message.
 */
import { pack } from "./errors.js";
import { Engine } from "./engine.js";
import { fetchGraph } from "./web_files.js";

/**
 * modules: addresses of the libraries where no bundler has put them beside this file.
 * @typedef {{device: string, hide: string[], setup: import("./engine.js").Setup,
 *   graph: import("./web_files.js").RemoteGraph,
 *   modules: {ort: string, tokenizers: string} | null}} Start
 */
/** @typedef {{id: number, method: string, args: any[]}} Call */

/** @type {Engine | undefined} */
let engine;

globalThis.addEventListener("message", async ({ data }) => {
  const { id, method, args } = /** @type {Call} */ (data);
  try {
    const result = method === "start" ? await start(args[0]) : await call(method, args);
    globalThis.postMessage({ id, result });
  } catch (error) {
    globalThis.postMessage({ id, error: pack(error) });
  }
});

/** @param {Start} message */
async function start({ device, hide, setup, graph, modules }) {
  hideFeatures(hide);
  const [ort, { Tokenizer }] = await Promise.all([
    modules ? import(/* @vite-ignore */ /* webpackIgnore: true */ modules.ort) : runtime(device),
    modules
      ? import(/* @vite-ignore */ /* webpackIgnore: true */ modules.tokenizers)
      : import("@huggingface/tokenizers"),
  ]);
  const files = await fetchGraph(graph, (...progress) => globalThis.postMessage({ progress }));
  engine = await Engine.create({ ort, Tokenizer }, setup, files);
}

/** @param {string} device */
function runtime(device) {
  // Each build brings a binary of its own; the one without WebGPU is half as large.
  return device === "webgpu" ? import("onnxruntime-web/webgpu") : import("onnxruntime-web/wasm");
}

/**
 * @param {string} method
 * @param {any[]} args
 */
function call(method, args) {
  if (!engine) throw new Error("a call came before the start");
  const methods = /** @type {Record<string, (...args: any[]) => Promise<unknown>>} */ (/** @type {unknown} */ (engine));
  return methods[method](...args);
}

/**
 * Let ONNX Runtime's device be made without some of the adapter's features.
 * @param {string[]} hidden
 */
function hideFeatures(hidden) {
  if (!hidden.length) return;
  const { prototype } = /** @type {any} */ (globalThis).GPUAdapter;
  const shown = Object.getOwnPropertyDescriptor(prototype, "features")?.get;
  Object.defineProperty(prototype, "features", {
    get() {
      return new Set([...shown?.call(this)].filter((feature) => !hidden.includes(feature)));
    },
  });
}
