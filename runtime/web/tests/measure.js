/**
 * Time to the first score, of 50 short documents and of one of 300 tokens, and peak memory, in Node and in Chromium on
 * WASM: `node tests/measure.js FOLDER DTYPE [THREADS]`.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Reranker } from "../src/node.js";
import { WEB } from "./artifacts.js";
import { launch } from "./browser/chromium.js";
import { serve } from "./server.js";

const [folder, dtype, threads = "2"] = process.argv.slice(2);
const work = {
  options: { dtype, threads: Number(threads), device: "" },
  query: "how do I sort the values of an array along an axis?",
  documents: Array.from({ length: 50 }, (_, i) => `function ${i}: return a sorted copy of an array along an axis, in place`),
  long: "return a sorted copy of an array along an axis, in place or not; ".repeat(20),
};

/**
 * @param {typeof Reranker} Class
 * @param {string} source
 * @param {typeof work} work
 */
async function measure(Class, source, { options, query, documents, long }) {
  const start = performance.now();
  const model = await Class.from_pretrained(source, options);
  await model.predict([[query, documents[0]]]);
  const first = performance.now();
  await model.rank(query, documents);
  const all = performance.now();
  await model.rank(query, [long]);
  const end = performance.now();
  await model.dispose();
  return {
    "seconds to the first score": (first - start) / 1000,
    "seconds for 50 documents": (all - first) / 1000,
    "seconds for one of 300 tokens": (end - all) / 1000,
  };
}

/** The most memory that a process of Chromium which runs scripts ever had, in MB. */
function chromiumMemory() {
  const rows = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" }).split("\n");
  const pids = rows.filter((row) => row.includes("--type=renderer")).map((row) => Number.parseInt(row, 10));
  return Math.max(...pids.map((pid) => Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]))) / 1e3;
}

async function inChromium() {
  const server = await serve({ "/web/": WEB, "/artifact/": resolve(folder) });
  const browser = await launch();
  const page = await browser.newPage();
  await page.goto(`${server.url}/web/tests/browser/page.html`);
  const code = `(async (work) => (${measure})((await import("onnxrank")).Reranker, "/artifact/", work))`;
  const found = await page.evaluate(`${code}(${JSON.stringify({ ...work, options: { ...work.options, device: "wasm" } })})`);
  const peak = chromiumMemory();
  await browser.close();
  server.close();
  return { .../** @type {object} */ (found), "peak MB": peak };
}

const node = await measure(Reranker, resolve(folder), { ...work, options: { ...work.options, device: "cpu" } });
const tables = { Node: { ...node, "peak MB": process.resourceUsage().maxRSS / 1e3 }, "Chromium, WASM": await inChromium() };
process.stdout.write(`${JSON.stringify(tables, null, 2)}\n`);
