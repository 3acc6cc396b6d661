/**
 * The worker's side of an engine: a page calls its methods by message.
 */
import { fetchGraph } from "../artifact/web_files.js";
import { errorToData } from "../errors.js";
import { Engine } from "./engine.js";

/** @typedef {{ort: string, tokenizers: string}} Modules The addresses of the libraries. */
/**
 * modules: null where a bundler has put the libraries beside this file.
 * @typedef {{device: string, hidden_features: string[], setup: import("./engine.js").Setup,
 *   graph: import("../artifact/web_files.js").RemoteGraph, modules: Modules | null}} Start
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
    globalThis.postMessage({ id, error: errorToData(error) });
  }
});

globalThis.addEventListener("messageerror", () => {
  // The page learns of errors that nothing catches.
  throw new Error("a message to it cannot be read");
});

/** @param {Start} message */
async function start({ device, hidden_features, setup, graph, modules }) {
  hideFeatures(hidden_features);
  const [ort, { Tokenizer }] = await Promise.all([
    modules ? import(/* @vite-ignore */ /* webpackIgnore: true */ modules.ort) : runtime(device),
    modules
      ? import(/* @vite-ignore */ /* webpackIgnore: true */ modules.tokenizers)
      : import("@huggingface/tokenizers"),
  ]);
  const bytes = await fetchGraph(graph, (...progress) => globalThis.postMessage({ progress }));
  engine = await Engine.create({ ort, Tokenizer }, setup, bytes);
}

/** @param {string} device */
function runtime(device) {
  // Each build has its own binary; the one without WebGPU is half as large.
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
 * Hide features of the GPU adapter, so that ONNX Runtime makes its device without them.
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
