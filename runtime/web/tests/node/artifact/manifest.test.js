/** Manifests that must not be read, and files that the manifest does not vouch for. */
import { test } from "node:test";
import { FORMAT } from "../../../src/artifact/contract.js";
import { Reranker } from "../../../src/node.js";
import { changed, changedManifest } from "../../changed_artifact.js";
import { refuses } from "../../refuses.js";

test("another format, a damaged and a hostile manifest", async () => {
  const newer = changedManifest((manifest) => (manifest.format = FORMAT + 1));
  await refuses(() => Reranker.from_pretrained(newer), "ArtifactError", /format 3, .* reads format 2: upgrade/);
  const older = changedManifest((manifest) => (manifest.format = FORMAT - 1));
  await refuses(() => Reranker.from_pretrained(older), "ArtifactError", /format 1, .* reads format 2: export the artifact again/);
  const unknown = changedManifest((manifest) => (manifest.scoring.prompt.extra = 1));
  await refuses(() => Reranker.from_pretrained(unknown), "ArtifactError", /scoring.prompt has the unknown key "extra"/);
  const lacking = changedManifest((manifest) => delete manifest.scoring.pad_token_id);
  await refuses(() => Reranker.from_pretrained(lacking), "ArtifactError", /scoring lacks the key "pad_token_id"/);
  const typed = changedManifest((manifest) => (manifest.scoring.activation = "softmax"));
  await refuses(() => Reranker.from_pretrained(typed), "ArtifactError", /scoring.activation should be "sigmoid" or "identity", not "softmax"/);
  const nested = changedManifest((manifest) => (manifest.scoring.prompt.prefix_token_ids[0] = 0.5));
  await refuses(() => Reranker.from_pretrained(nested), "ArtifactError", /scoring.prompt.prefix_token_ids\[0\] should be integer, not 0.5/);
  const empty = changedManifest((manifest) => (manifest.variants = {}));
  await refuses(() => Reranker.from_pretrained(empty), "ArtifactError", /lists no variant/);
  const exits = changedManifest((manifest) => (manifest.variants.q4.exits = { 3: manifest.variants.q4.padded }));
  await refuses(() => Reranker.from_pretrained(exits), "ArtifactError", /variant "q4" has graphs for other exits/);
  const elsewhere = changedManifest((manifest) => (manifest.variants.q4.padded = "elsewhere.onnx"));
  await refuses(() => Reranker.from_pretrained(elsewhere), "ArtifactError", /names "elsewhere.onnx", which `files` does not list/);
  const past = changedManifest((manifest) => (manifest.variants.q4.past.file = "../secret"));
  await refuses(() => Reranker.from_pretrained(past), "ArtifactError", /names "..\/secret", which `files` does not list/);
  const unsafe = ["../secret", "/etc/passwd", "a/../../b", "c:\\x", "%2e%2e/x", "", ".", "a/", "a//b", "https://a/b"];
  // URLs drop these characters.
  for (const path of [...unsafe, ".\t./secret", "\t//a/b", " /secret", "a\0"]) {
    const hostile = changedManifest((manifest) => (manifest.files[path] = manifest.files["golden.json"]));
    await refuses(() => Reranker.from_pretrained(hostile), "ArtifactError", /a path outside its folder; do not use/);
  }
  for (const entry of [{ sha256: "../0" }, { sha256: "A".repeat(64) }, { sha256: "" }, { bytes: -1 }]) {
    const claim = changedManifest((manifest) => Object.assign(manifest.files["golden.json"], entry));
    await refuses(() => Reranker.from_pretrained(claim), "ArtifactError", /lists "golden.json" with -?\d+ bytes and the sha256 ".*, which no file has/);
  }
  for (const count of [0, -1, 1e9]) {
    const long = changedManifest((manifest) => (manifest.scoring.kv_cache.layers = count));
    await refuses(() => Reranker.from_pretrained(long), "ArtifactError", /gives scoring.kv_cache.layers as .*, and a model has 1 to 1048576/);
  }
  const text = changed("reranker.json", () => "<!doctype html>");
  await refuses(() => Reranker.from_pretrained(text), "ArtifactError", /reranker.json cannot be read \(.*\); export/);
});

test("altered files", async () => {
  for (const file of ["onnx/model_q4.onnx_data", "onnx/fixed_past.bin", "tokenizer.json", "device_check.json"]) {
    const folder = changed(file, (text) => `${text.slice(0, -1)}\0`);
    await refuses(() => Reranker.from_pretrained(folder, { dtype: "q4" }), "ArtifactError", /its hash differs/);
  }
});
