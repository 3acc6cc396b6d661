/** The npm package: what it holds, and that it works where it is installed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ARTIFACTS, WEB } from "../artifacts.js";

test("it holds source, types and demo page, and scores where it is installed", () => {
  const folder = mkdtempSync(join(tmpdir(), "onnxrank-"));
  const run = { cwd: WEB, encoding: /** @type {const} */ ("utf8"), stdio: /** @type {any} */ (["ignore", "pipe", "ignore"]) };
  const printed = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], run);
  const [{ filename, files, integrity }] = JSON.parse(printed.slice(printed.search(/^\[/m)));
  // The same files are packed to the same bytes, whatever their times.
  for (const file of readdirSync(`${WEB}types`)) utimesSync(`${WEB}types/${file}`, 1e9, 1e9);
  const again = execFileSync("npm", ["pack", "--json", "--dry-run", "--ignore-scripts"], run);
  assert.equal(JSON.parse(again)[0].integrity, integrity);
  /** @type {string[]} */
  const held = files.map((/** @type {{path: string}} */ file) => file.path).sort();
  const sources = readdirSync(`${WEB}src`, { encoding: "utf8", recursive: true }).filter((name) => name.endsWith(".js"));
  const expected = [
    "LICENSE",
    "README.md",
    ...readdirSync(`${WEB}demo`).map((name) => `demo/${name}`),
    "package.json",
    ...sources.map((name) => `src/${name}`),
    ...sources.map((name) => `types/${name.replace(/\.js$/, ".d.ts")}`),
  ];
  assert.deepEqual(held, expected.sort());

  const installed = join(folder, "node_modules", "onnxrank");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, filename), "-C", installed, "--strip-components=1"]);
  for (const name of ["@huggingface", "onnxruntime-node"]) {
    symlinkSync(`${WEB}node_modules/${name}`, join(folder, "node_modules", name));
  }
  const code = `
    import { Reranker } from "onnxrank";
    const reranker = await Reranker.from_pretrained(${JSON.stringify(`${ARTIFACTS}demo`)}, { dtype: "q4" });
    const hits = await reranker.rank("sort an array", ["numpy.mean: the average", "numpy.sort: sorts an array"]);
    console.log(hits[0].corpus_id);`;
  const options = { cwd: folder, encoding: /** @type {const} */ ("utf8") };
  assert.equal(execFileSync(process.execPath, ["--input-type=module", "-e", code], options).trim(), "1");
});

test("the code in docs/browser.md runs as it stands", () => {
  const page = readFileSync(`${WEB}../../docs/browser.md`, "utf8");
  const [, code] = /** @type {RegExpExecArray} */ (/```js\n([\s\S]*?)```/.exec(page));
  const folder = mkdtempSync(join(tmpdir(), "onnxrank-"));
  mkdirSync(join(folder, "artifacts"));
  symlinkSync(`${ARTIFACTS}demo`, join(folder, "artifacts", "demo"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(WEB, join(folder, "node_modules", "onnxrank"));
  const run = ["--input-type=module", "-e", code];
  assert.match(execFileSync(process.execPath, run, { cwd: folder, encoding: "utf8" }), /^100 %\ncpu int8 \[\] \[\n.*corpus_id: 0/ms);
});

test("versions agree, and the lock names no download addresses", () => {
  const lock = JSON.parse(readFileSync(`${WEB}package-lock.json`, "utf8"));
  const { version, dependencies } = JSON.parse(readFileSync(`${WEB}package.json`, "utf8"));
  assert.match(readFileSync(`${WEB}../../pyproject.toml`, "utf8"), new RegExp(`^version = "${version}"$`, "m"));
  for (const [path, entry] of Object.entries(lock.packages)) {
    assert.equal(/** @type {any} */ (entry).resolved, undefined, path);
  }
  // The versions that Transformers.js brings, so that a page with both loads one.
  const transformers = lock.packages["node_modules/@huggingface/transformers"].dependencies;
  assert.equal(dependencies["onnxruntime-web"], transformers["onnxruntime-web"]);
  assert.equal(dependencies["onnxruntime-node"], transformers["onnxruntime-node"]);
  assert.equal(`^${dependencies["@huggingface/tokenizers"]}`, transformers["@huggingface/tokenizers"]);
});
