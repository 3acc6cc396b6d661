/**
 * Copies of the demo artifact in which something differs.
 */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEVICE_CHECK, GOLDEN, MANIFEST, TOKENIZER } from "../src/artifact/contract.js";
import { ARTIFACTS, textOf } from "./artifacts.js";

/**
 * A copy of the demo artifact's small files and q4, with one file changed.
 * @param {string} file
 * @param {(text: string) => string} change
 */
export function changed(file, change) {
  const folder = mkdtempSync(join(tmpdir(), "onnxrank-"));
  for (const name of [MANIFEST, TOKENIZER, DEVICE_CHECK, GOLDEN]) {
    cpSync(join(ARTIFACTS, "demo", name), join(folder, name));
  }
  const { q4 } = JSON.parse(textOf("demo", MANIFEST)).variants;
  for (const name of q4.files) cpSync(join(ARTIFACTS, "demo", name), join(folder, name));
  const path = join(folder, file);
  writeFileSync(path, change(readFileSync(path, "latin1")), "latin1");
  return folder;
}

/**
 * The demo's manifest, changed.
 * @param {(manifest: any) => void} change
 */
export function changedManifest(change) {
  return changed(MANIFEST, (text) => {
    const manifest = JSON.parse(Buffer.from(text, "latin1").toString());
    change(manifest);
    return Buffer.from(JSON.stringify(manifest)).toString("latin1");
  });
}
