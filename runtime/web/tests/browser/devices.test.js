/** How a device is chosen, checked and left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pages } from "./page.js";

const open = pages();

/**
 * @param {import("playwright-core").Page} page
 * @param {object} options
 * @param {string} [source]
 */
function load(page, options, source = "/artifacts/qwen3-reranker") {
  return page.evaluate(
    async ({ source, options }) => {
      const { Reranker } = await import("onnxrank");
      try {
        const model = await Reranker.from_pretrained(source, options);
        const [score] = await model.predict([["sort an array", "numpy.sort: sort an array"]]);
        await model.dispose();
        return { device: model.device, dtype: model.dtype, notes: model.notes, score, error: "" };
      } catch (error) {
        return { device: "", dtype: "", notes: [], score: NaN, error: String(error) };
      }
    },
    { source, options },
  );
}

for (const dtype of ["fp32", "q4"]) {
  test(`broken subgroup kernels are noticed in ${dtype}, and not used`, async () => {
    const page = await open();
    const found = await load(page, { device: "webgpu", dtype });
    const wasm = await load(page, { device: "wasm", dtype });
    await page.close();
    assert.match(found.notes[0], /^webgpu is not used: .* on webgpu scores wrongly: its logits are off by up to [\d.]+, most for a pair of \d+ tokens/);
    assert.deepEqual([found.device, found.notes.length], ["webgpu", 1]);
    // In q4, WASM starts from stored keys and values of the instruction, and WebGPU computes them.
    assert.ok(Math.abs(found.score - wasm.score) < (dtype === "fp32" ? 5e-3 : 0.05));
  });
}

test("where a GPU stays wrong, the processor scores", async () => {
  const page = await open();
  // Nothing hides the features, so that every attempt on WebGPU computes wrongly.
  await page.route("**/src/engine/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace("hideFeatures(hidden_features);", "") });
  });
  const found = await load(page, { device: "webgpu", dtype: "q4" });
  await page.close();
  assert.equal(found.device, "wasm");
  assert.equal(found.notes.length, 2);
  assert.match(found.notes[1], /^webgpu without subgroups, subgroup-size-control is not used: .* scores wrongly/);
});

test("a GPU computed by the processor is not chosen by itself", async () => {
  const page = await open();
  const found = await load(page, {});
  await page.close();
  assert.deepEqual([found.device, found.dtype], ["wasm", "int8"]);
  assert.deepEqual(found.notes, ["WebGPU here is computed by the processor, so WASM is used."]);
});

test("a dtype that the GPU has no arithmetic for is said, and scored by the processor", async () => {
  const page = await open();
  const found = await load(page, { device: "webgpu", dtype: "q4f16" });
  await page.close();
  assert.equal(found.device, "wasm");
  assert.match(found.notes[0], /no shader-f16/);
});

test("a browser without WebGPU", async () => {
  const page = await open();
  await page.evaluate(() => Object.defineProperty(navigator, "gpu", { value: undefined }));
  const found = await load(page, { device: "webgpu", dtype: "int8" });
  await page.close();
  assert.equal(found.device, "wasm");
  assert.deepEqual(found.notes, ["There is no WebGPU here (this browser has none), so WASM is used."]);
});

test("errors keep their kind and sentence on their way out of the worker", async () => {
  const page = await open();
  const missing = await load(page, { device: "wasm" }, "/artifacts/nowhere");
  assert.match(missing.error, /^ArtifactError: .*\/artifacts\/nowhere\/ has no reranker.json: .*export-model`\.$/);
  const relative = await load(page, { device: "wasm" }, "no folder");
  assert.match(relative.error, /^InputError: "no folder" is neither a folder/);
  const option = await load(page, { device: "wasm", max_length: 10 });
  assert.match(option.error, /^InputError: max_length 10 leaves no room/);
  const device = await load(page, { device: "npu" });
  assert.match(device.error, /^InputError: device is "npu"; in a browser give/);
  await page.close();
});

test("a file altered on the server is refused, and a second load comes from the cache", async () => {
  const page = await open();
  await page.route("**/model_q4.onnx_data", async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    body[100] ^= 1;
    await route.fulfill({ response, body });
  });
  const altered = await load(page, { device: "wasm", dtype: "q4" });
  assert.match(altered.error, /^ArtifactError: .*model_q4.onnx_data is not the file that was exported/);
  await page.unroute("**/model_q4.onnx_data");
  assert.equal((await load(page, { device: "wasm", dtype: "q4" })).device, "wasm");
  await page.route("**/*.onnx*", (route) => route.abort());
  assert.equal((await load(page, { device: "wasm", dtype: "q4" })).device, "wasm");
  await page.close();
});

for (const hashed of [true, false]) {
  test(`files that ${hashed ? "are" : "cannot be"} hashed do not enter the cache under another's hash`, async () => {
    const page = await open();
    if (!hashed) {
      await page.route("**/src/artifact/download.js", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: (await response.text()).replace("LARGEST_HASHED = 2 ** 29", "LARGEST_HASHED = 0") });
      });
    }
    // Another artifact of the same origin, which claims the demo's hashes for files of its own. Its tokenizer, which the
    // page loads, differs in a line end; its weights, which the worker loads, in a bit.
    await page.route("**/hostile/**", async (route) => {
      const url = route.request().url().replace("hostile", "demo");
      const response = await route.fetch({ url });
      const body = await response.body();
      if (url.endsWith("tokenizer.json")) body[body.indexOf("\n")] = 32;
      if (url.endsWith("_data")) body[100] ^= 1;
      await route.fulfill({ response, body });
    });
    await load(page, { device: "wasm", dtype: "q4" }, "/artifacts/hostile");
    const { score } = await load(page, { device: "wasm", dtype: "q4" }, "/artifacts/demo");
    const kept = await page.evaluate(async () => {
      const cache = await caches.open("onnxrank");
      return Promise.all(
        (await cache.keys()).map(async (request) => {
          const body = await (await cache.match(request))?.arrayBuffer();
          const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body ?? new ArrayBuffer(0)));
          const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
          return request.url.endsWith(`/.onnxrank/${hex}`);
        }),
      );
    });
    await page.close();
    assert.deepEqual(kept, hashed ? new Array(6).fill(true) : []);
    assert.ok(score > 0 && score < 1);
  });
}

test("where a worker breaks down, the calls that wait and those that come later end", async () => {
  const page = await open();
  await page.route("**/src/engine/worker.js", async (route) => {
    const response = await route.fetch();
    const broken = 'if (method === "score") setTimeout(() => { throw new Error("out of luck"); }); if (method === "score") return;';
    await route.fulfill({ response, body: (await response.text()).replace("  try {\n", `  ${broken}\n  try {\n`) });
  });
  const errors = await page.evaluate(async () => {
    const { Reranker } = await import("onnxrank");
    const model = await Reranker.from_pretrained("/artifacts/demo", { device: "wasm", dtype: "q4" });
    const late = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(() => resolve("late"), ms));
    const call = () => Promise.race([model.rank("sort", ["numpy.sort"]).then(() => "scored", String), late(5000)]);
    const waiting = await Promise.all([call(), call()]);
    // Both of its errors have arrived by then.
    await late(500);
    return [...waiting, await call()];
  });
  await page.close();
  const message = "BackendError: the worker of wasm broke down (Uncaught Error: out of luck); open the model again.";
  assert.deepEqual(errors, new Array(3).fill(message));
});

test("in a worker of the page's own", async () => {
  const page = await open();
  const score = await page.evaluate(async () => {
    // A worker has no import map: the addresses of the libraries are written into its script, as a bundler does.
    const { imports } = JSON.parse(document.querySelector("script[type=importmap]")?.textContent ?? "");
    const names = ["onnxrank", "onnxruntime-web/wasm", "@huggingface/tokenizers"];
    const paths = names.map((name) => new URL(imports[name], location.origin).href);
    const script = `
      const [onnxrank, ort, tokenizers] = ${JSON.stringify(paths)};
      const { Reranker } = await import(onnxrank);
      const model = await Reranker.from_pretrained("/artifacts/demo", { device: "wasm", dtype: "q4", modules: { ort, tokenizers } });
      postMessage((await model.predict([["sort an array", "numpy.sort"]]))[0]);`;
    const file = new Blob([script], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(file), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  });
  await page.close();
  assert.ok(score > 0 && score < 1);
});
