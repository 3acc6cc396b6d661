/**
 * Which devices a browser offers, best first, and why it does not offer others.
 */
import { BackendError, InputError, reason, show } from "../errors.js";

/** @typedef {import("./device.js").Attempt} Attempt */

// Both are hidden together: adapters that have the second have the first.
const SUBGROUPS = ["subgroups", "subgroup-size-control"];

/**
 * @param {string | undefined} wanted "webgpu", "wasm", or undefined for the best.
 * @returns {Promise<import("./device.js").Plan>}
 * @throws {InputError} For another name.
 */
export async function webDevices(wanted) {
  if (![undefined, "auto", "webgpu", "wasm"].includes(wanted)) {
    throw new InputError(`device is ${show(wanted)}; in a browser give "webgpu" or "wasm", or leave it out.`);
  }
  /** @type {Attempt} */
  const wasm = { device: "wasm", float16: false, browser: true, hidden_features: [] };
  if (wanted === "wasm") return { attempts: [wasm], notes: [] };
  try {
    const { features, software } = await adapterFacts();
    if (software && wanted !== "webgpu") {
      return { attempts: [wasm], notes: ["WebGPU here is computed by the processor, so WASM is used."] };
    }
    const float16 = features.has("shader-f16");
    /** @type {Attempt[]} */
    const gpu = [{ device: "webgpu", float16, browser: true, hidden_features: [] }];
    // On some adapters, kernels that use subgroups compute wrongly, and those without subgroups rightly.
    if (features.has("subgroups")) gpu.push({ ...gpu[0], hidden_features: SUBGROUPS });
    return { attempts: [...gpu, wasm], notes: [] };
  } catch (error) {
    return { attempts: [wasm], notes: [`There is no WebGPU here (${reason(error)}), so WASM is used.`] };
  }
}

/** The features of the GPU, and whether software on the processor computes in its place. */
async function adapterFacts() {
  const gpu = /** @type {any} */ (globalThis.navigator)?.gpu;
  if (!gpu) {
    throw new BackendError(
      globalThis.isSecureContext ? "this browser has none" : "the page is served without HTTPS, and not from localhost",
    );
  }
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new BackendError("the browser offers no adapter");
  const software = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter ?? false;
  return { features: /** @type {Set<string>} */ (adapter.features), software };
}
