/** The page of `onnxrank serve`: it ranks by keyboard, on a phone's width, in the dark; it shows the queue and errors. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ARTIFACTS } from "../artifacts.js";
import { launch } from "./chromium.js";

const PYTHON = process.env.PYTHON ?? "python3";
const MAIN = ["-u", "-c", "from onnxrank.cli.app import main; main()"];
const KEY = "a-key";
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("node:child_process").ChildProcess} */
let server;
let address = "";

before(async () => {
  const keys = join(mkdtempSync(join(tmpdir(), "onnxrank-")), "keys");
  writeFileSync(keys, `${KEY}\n`);
  server = spawn(PYTHON, [...MAIN, "serve", `${ARTIFACTS}demo`, "--port", "0", "--threads", "1", "--api-key-file", keys]);
  for await (const line of /** @type {import("node:stream").Readable} */ (server.stderr)) {
    address = /http:\S+/.exec(String(line))?.[0] ?? "";
    break;
  }
  // It reads what else the server says, which would fill the pipe.
  server.stderr?.resume();
  browser = await launch();
});

after(async () => {
  await browser.close();
  server.kill();
});

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function open(options) {
  const page = await browser.newPage(options);
  /** @type {string[]} */
  const asked = [];
  page.context().on("request", (request) => asked.push(request.url()));
  await page.goto(address);
  await page.getByText(/^Queue: \d+ requests, \d+ tokens; \d+ tokens a second\.$/).waitFor();
  await page.getByLabel("API key").fill(KEY);
  await page.getByLabel("API key").press("Tab");
  await page.getByText("Ready.").waitFor();
  return { page, asked };
}

/** @param {import("playwright-core").Page} page */
async function rank(page) {
  await page.focus("#query");
  await page.keyboard.press("Enter");
  await page.getByText("Done.").waitFor();
  return page.$$eval("li", (hits) =>
    hits.map((hit) => ({
      score: Number(hit.querySelector(".number")?.textContent),
      width: hit.querySelector(".bar")?.getAttribute("style") ?? "",
      text: hit.querySelector(".text")?.textContent ?? "",
    })),
  );
}

test("by keyboard: a ranking with bars, time, tokens and queue, and no request elsewhere", async () => {
  const { page, asked } = await open({ viewport: { width: 900, height: 1000 }, colorScheme: "light" });
  const hits = await rank(page);
  assert.equal(hits.length, 6);
  assert.match(hits[0].text, /^numpy\.(arg)?sort: /);
  hits.slice(1).forEach(({ score }, i) => assert.ok(score <= hits[i].score));
  assert.equal(hits[0].width, `width: ${(100 * hits[0].score).toFixed(1).replace(/\.0$/, "")}%;`);
  assert.match(
    (await page.textContent(".facts")) ?? "",
    /^\d+\.\d ms a document; \d+ tokens, \d+ ms in the server, of which \d+ ms in the queue$/,
  );
  assert.deepEqual(asked.filter((url) => !url.startsWith(address)), []);
  await page.screenshot({ path: `${ARTIFACTS}served.png`, fullPage: true });
  await page.close();
});

test("documents that were cut are told", async () => {
  const { page } = await open();
  await page.fill("#documents", `short\n${"numpy ".repeat(9000)}`);
  const hits = await rank(page);
  assert.deepEqual(hits.map(({ text }) => text.endsWith("(cut)")).sort(), [false, true]);
  assert.match((await page.textContent(".facts")) ?? "", /; 1 of 2 documents cut$/);
  await page.close();
});

test("what goes wrong, in the server's sentence", async () => {
  const { page } = await open();
  await page.fill("#key", "wrong");
  await page.focus("#query");
  await page.getByText("the API key is missing or wrong; send `Authorization: Bearer KEY`.").waitFor();
  await page.close();
});

test("texts are text, never markup", async () => {
  const { page } = await open();
  await page.fill("#documents", "<img src=x onerror=\"document.title='broken'\"> sort <b>bold</b>");
  const [shown] = await rank(page);
  assert.match(shown.text, /^<img src=x .*<b>bold<\/b>$/);
  assert.equal(await page.title(), "onnxrank");
  assert.equal(await page.locator("#results img, #results b").count(), 0);
  await page.close();
});

test("on a phone nothing is cut off, in the dark either", async () => {
  const { page } = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await rank(page);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  const [red, green, blue] = await page.evaluate(() => {
    return [...getComputedStyle(document.body).backgroundColor.matchAll(/\d+/g)].map(Number);
  });
  assert.ok(red + green + blue < 150);
  await page.close();
});
