/**
 * Time to the first score, time of 50 short documents and peak memory, in Node and in Chromium on WASM:
 * `node tests/measure.js FOLDER DTYPE [THREADS]`.
 */
import { execFileSync } from "node:child_process";
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
};

/**
 * @param {typeof Reranker} Class
 * @param {string} source
 * @param {typeof work} work
 */
async function measure(Class, source, { options, query, documents }) {
  const start = performance.now();
  const model = await Class.from_pretrained(source, options);
  await model.predict([[query, documents[0]]]);
  const first = performance.now();
  await model.rank(query, documents);
  const all = performance.now();
  await model.dispose();
  return { "seconds to the first score": (first - start) / 1000, "seconds for 50 documents": (all - first) / 1000 };
}

/** Resident memory of Chromium's processes that run scripts, in MB. */
function chromiumMemory() {
  const rows = execFileSync("ps", ["-eo", "rss,args"], { encoding: "utf8" }).split("\n");
  const sizes = rows.filter((row) => row.includes("--type=renderer")).map((row) => Number.parseInt(row, 10));
  return Math.max(0, ...sizes) / 1e3;
}

async function inChromium() {
  const server = await serve({ "/web/": WEB, "/artifact/": resolve(folder) });
  const browser = await launch();
  const page = await browser.newPage();
  await page.goto(`${server.url}/web/tests/browser/page.html`);
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, chromiumMemory())), 200);
  const code = `(async (work) => (${measure})((await import("onnxrank")).Reranker, "/artifact/", work))`;
  const found = await page.evaluate(`${code}(${JSON.stringify({ ...work, options: { ...work.options, device: "wasm" } })})`);
  clearInterval(timer);
  await browser.close();
  server.close();
  return { .../** @type {object} */ (found), "peak MB": peak };
}

const node = await measure(Reranker, resolve(folder), { ...work, options: { ...work.options, device: "cpu" } });
const tables = { Node: { ...node, "peak MB": process.resourceUsage().maxRSS / 1e3 }, "Chromium, WASM": await inChromium() };
process.stdout.write(`${JSON.stringify(tables, null, 2)}\n`);
