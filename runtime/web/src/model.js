/**
 * What `Reranker` and `LateInteraction` share: an opened artifact, its comparison with PyTorch, and how it is disposed of.
 */
import { RerankError } from "./errors.js";
import { allowedFromPyTorch } from "./proof/tolerances.js";
import { checkParity, verify } from "./proof/verification.js";

/** @typedef {import("./open.js").Opened} Opened */

export class Model {
  /** @type {Opened | undefined} */
  #opened;

  /** @param {Opened} opened */
  constructor(opened) {
    this.#opened = opened;
    /** Where the model runs: "webgpu", "wasm" or "cpu". */
    this.device = opened.device;
    /** The variant's name: fp32, fp16, int8, q4 or q4f16. */
    this.dtype = opened.dtype;
    /** Why better devices are not used, a sentence for each. */
    this.notes = opened.notes;
    this.manifest = opened.manifest;
  }

  /**
   * Compare this device with PyTorch over the whole of golden.json.
   * @returns {Promise<import("./proof/parity.js").DeviceParity>}
   * @throws {import("./errors.js").ParityError} If scores differ more than the export's own proof allows.
   * @throws {import("./errors.js").ArtifactError} If token ids differ.
   */
  async verify() {
    const { engine, golden, check, dtype, column, device, manifest } = this.opened();
    const parity = await verify(engine, manifest.scoring, await golden(), column);
    const allowed = allowedFromPyTorch(check, dtype, column, manifest.variants[dtype].parity);
    checkParity(parity, allowed, `${dtype} on ${device}`);
    return parity;
  }

  /** Free the memory of the model; it cannot score afterwards. */
  async dispose() {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.engine.dispose();
  }

  /** @protected */
  opened() {
    if (!this.#opened) throw new RerankError("this model was disposed of; open it again with from_pretrained.");
    return this.#opened;
  }
}
