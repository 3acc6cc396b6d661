/** The demo page as `onnxrank demo` serves it: it ranks as the command line does, by keyboard, on a phone's width. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ARTIFACTS, WEB } from "../artifacts.js";
import { launch } from "./chromium.js";

const PYTHON = process.env.PYTHON ?? "python3";
const MAIN = ["-c", "from onnxrank.cli.app import main; main()"];
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("node:child_process").ChildProcess[]} */
const servers = [];
let address = "";

before(async () => {
  address = await serve();
  browser = await launch();
});

after(async () => {
  await browser.close();
  for (const server of servers) server.kill();
});

/**
 * The address of a server of the page.
 * @param {string} [path] Where Python looks for packages first.
 */
async function serve(path) {
  const env = path ? { ...process.env, PYTHONPATH: path } : process.env;
  const server = spawn(PYTHON, ["-u", ...MAIN, "demo", `${ARTIFACTS}demo`, "--port", "0", "--no-open"], { env });
  servers.push(server);
  for await (const line of /** @type {import("node:stream").Readable} */ (server.stdout)) {
    return /http:\S+\//.exec(String(line))?.[0] ?? "";
  }
  throw new Error("the server ended");
}

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function open(options) {
  const page = await browser.newPage(options);
  /** @type {string[]} */
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(address);
  await page.getByText("ready to load").waitFor();
  return { page, problems };
}

/** @param {import("playwright-core").Page} page */
async function rank(page) {
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => {
    const status = document.getElementById("status");
    return status?.textContent === "Done." || status?.className === "wrong";
  });
  assert.equal(await page.textContent("#status"), "Done.");
  return page.$$eval("section", (sections) =>
    sections.map((section) => ({
      title: section.querySelector("h2")?.textContent,
      facts: section.querySelector(".facts")?.textContent ?? "",
      scores: [...section.querySelectorAll(".number")].map((number) => Number(number.textContent)),
      texts: [...section.querySelectorAll(".text")].map((text) => text.textContent),
    })),
  );
}

test("by keyboard alone, two variants side by side, as the command line ranks", async () => {
  const { page, problems } = await open({ viewport: { width: 900, height: 1000 }, colorScheme: "light" });
  assert.equal(await page.evaluate("crossOriginIsolated"), true);
  await page.getByLabel("Precision of the weights").selectOption("int8");
  await page.getByLabel("Compare with").selectOption("q4");
  await page.focus("#query");
  const [first, second] = await rank(page);
  assert.deepEqual([first.title, second.title], ["int8 on wasm", "q4 on wasm"]);
  assert.match(first.facts, /^\d+\.\d ms a document$/);
  const file = join(mkdtempSync(join(tmpdir(), "onnxrank-")), "documents.txt");
  writeFileSync(file, await page.inputValue("#documents"));
  // The command line multiplies 4-bit weights in int8, the page in MatMulNBits.
  for (const [variant, shown, limit] of /** @type {const} */ ([["int8", first, 5e-3], ["q4", second, 0.05]])) {
    const query = await page.inputValue("#query");
    const command = ["rank", `${ARTIFACTS}demo`, query, "--documents", file, "--variant", variant, "--json"];
    const hits = JSON.parse(execFileSync(PYTHON, [...MAIN, ...command], { encoding: "utf8" }));
    assert.deepEqual(shown.texts, hits.map((/** @type {{text: string}} */ hit) => hit.text));
    hits.forEach((/** @type {{score: number}} */ hit, /** @type {number} */ i) => {
      assert.ok(Math.abs(hit.score - shown.scores[i]) < limit);
    });
  }
  await page.screenshot({ path: `${ARTIFACTS}demo.png`, fullPage: true });
  assert.deepEqual(problems, []);
  await page.close();
});

test("a release needs no network", async () => {
  const tree = mkdtempSync(join(tmpdir(), "onnxrank-"));
  const code = "import sys; from tests.distribution import *; t = Path(sys.argv[1]); stage(t); add_libraries(t)";
  execFileSync(PYTHON, ["-c", code, tree], { cwd: `${WEB}../..` });
  symlinkSync(join(tree, "runtime"), join(tree, "onnxrank"));
  const released = await serve(tree);
  for (const device of ["webgpu", "wasm"]) {
    const page = await browser.newPage();
    /** @type {string[]} */
    const asked = [];
    page.context().on("request", (request) => asked.push(request.url()));
    await page.goto(released);
    await page.getByText("ready to load").waitFor();
    assert.equal(await page.isVisible("#network"), false);
    await page.selectOption("#device", device);
    // Software computes WebGPU here, slowly.
    page.setDefaultTimeout(120_000);
    await page.fill("#documents", "numpy.mean: the average\nnumpy.sort: sort along an axis");
    await page.focus("#query");
    const [{ title, texts }] = await rank(page);
    assert.match(`${title}`, new RegExp(` on ${device}$`));
    assert.match(`${texts[0]}`, /^numpy\.sort: /);
    assert.deepEqual(asked.filter((url) => !url.startsWith(released) && !url.startsWith("blob:")), []);
    await page.close();
  }
});

test("a page whose libraries come from elsewhere says so", async () => {
  const page = await browser.newPage();
  const elsewhere = "https://mirror.example/tokenizers.mjs";
  await page.route(address, async (route) => {
    const response = await route.fetch();
    const text = (await response.text()).replace(/"\/node_modules\/@huggingface[^"]*"/, JSON.stringify(elsewhere));
    await route.fulfill({ response, body: text });
  });
  await page.goto(address);
  await page.getByText("ready to load").waitFor();
  assert.equal(
    await page.textContent("#network"),
    "The page's libraries come from mirror.example: without a network it cannot score.",
  );
  assert.equal(await page.isVisible("#network"), true);
  await page.close();
});

test("texts are text, never markup", async () => {
  const { page, problems } = await open();
  await page.fill("#documents", "<img src=x onerror=\"document.title='broken'\"> sort <b>bold</b>");
  await page.focus("#query");
  const [shown] = await rank(page);
  assert.match(shown.texts[0] ?? "", /^<img src=x .*<b>bold<\/b>$/);
  assert.equal(await page.title(), "onnxrank");
  assert.equal(await page.locator("#results img, #results b").count(), 0);
  assert.deepEqual(problems, []);
  await page.close();
});

test("on a phone nothing is cut off, in the dark either", async () => {
  const { page } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await page.selectOption("#beside", "fp32");
  await page.focus("#query");
  await rank(page);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  const [red, green, blue] = await page.evaluate(() => {
    return [...getComputedStyle(document.body).backgroundColor.matchAll(/\d+/g)].map(Number);
  });
  assert.ok(red + green + blue < 150);
  await page.close();
});

test("what went wrong, in a sentence", async () => {
  const { page } = await open();
  await page.fill("#model", "./nowhere");
  await page.focus("#query");
  await page.waitForSelector("#status.wrong");
  assert.match((await page.textContent("#status")) ?? "", /nowhere\/ has no reranker.json: it is not an exported artifact/);
  await page.fill("#model", "./artifact/");
  await page.fill("#documents", "  \n ");
  await page.focus("#query");
  await page.getByText("ready to load").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("There are no documents; write one a line.").waitFor();
  await page.close();
});

test("the page answers while a model scores", async () => {
  const { page } = await open();
  await page.fill("#documents", Array.from({ length: 60 }, (_, i) => `numpy ${i} ${"sort ".repeat(100)}`).join("\n"));
  await page.focus("#query");
  const longest = page.evaluate(async () => {
    let worst = 0;
    let before = performance.now();
    while (document.getElementById("status")?.textContent !== "Done.") {
      await new Promise((resolve) => setTimeout(resolve, 10));
      worst = Math.max(worst, performance.now() - before);
      before = performance.now();
    }
    return worst;
  });
  const start = Date.now();
  await rank(page);
  assert.ok((await longest) < Math.max(300, (Date.now() - start) / 4), `blocked for ${await longest} ms`);
  await page.close();
});
