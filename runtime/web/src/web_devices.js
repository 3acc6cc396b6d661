/**
 * Which devices a browser offers, best first, and why not others.
 */
import { BackendError, InputError, reason } from "./errors.js";

/** @typedef {import("./open.js").Attempt} Attempt */
/** @typedef {{attempts: Attempt[], notes: string[]}} Plan */

// The second implies the first.
const SUBGROUPS = ["subgroups", "subgroup-size-control"];

/**
 * @param {string | undefined} wanted "webgpu", "wasm", or undefined for the best.
 * @returns {Promise<Plan>}
 * @throws {InputError} For another name.
 */
export async function webDevices(wanted) {
  if (![undefined, "auto", "webgpu", "wasm"].includes(wanted)) {
    throw new InputError(`device is "${wanted}"; in a browser give "webgpu" or "wasm", or leave it out.`);
  }
  /** @type {Attempt} */
  const wasm = { device: "wasm", half: false, limited: true, hide: [] };
  if (wanted === "wasm") return { attempts: [wasm], notes: [] };
  try {
    const { features, software } = await adapter();
    if (software && wanted !== "webgpu") {
      return { attempts: [wasm], notes: ["WebGPU here is computed by the processor, so WASM is used."] };
    }
    const half = features.has("shader-f16");
    /** @type {Attempt[]} */
    const gpu = [{ device: "webgpu", half, limited: true, hide: [] }];
    // The paths of kernels that rely on subgroups are wrong on some adapters, those without them right.
    if (features.has("subgroups")) gpu.push({ device: "webgpu", half, limited: true, hide: SUBGROUPS });
    return { attempts: [...gpu, wasm], notes: [] };
  } catch (error) {
    return { attempts: [wasm], notes: [`There is no WebGPU here (${reason(error)}), so WASM is used.`] };
  }
}

/** The GPU's features, and whether it is no GPU but software. */
async function adapter() {
  const gpu = /** @type {any} */ (globalThis.navigator)?.gpu;
  if (!gpu) {
    throw new BackendError(
      globalThis.isSecureContext ? "this browser has none" : "the page is served without HTTPS, and not from localhost",
    );
  }
  const found = await gpu.requestAdapter();
  if (!found) throw new BackendError("the browser offers no adapter");
  const software = found.info?.isFallbackAdapter ?? found.isFallbackAdapter ?? false;
  return { features: /** @type {Set<string>} */ (found.features), software };
}
