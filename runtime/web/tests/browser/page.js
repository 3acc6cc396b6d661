/**
 * A page of our own in Chromium, where the module can be imported.
 */
import { after, before } from "node:test";
import { ARTIFACTS, WEB } from "../artifacts.js";
import { serve } from "../server.js";
import { launch } from "./chromium.js";

/**
 * Start server and browser before the tests of a file and end them after. Each call of the function that is returned
 * opens a new page.
 */
export function pages() {
  /** @type {import("playwright-core").Browser} */
  let browser;
  /** @type {{url: string, close: () => void}} */
  let server;
  before(async () => {
    server = await serve({ "/web/": WEB, "/artifacts/": ARTIFACTS });
    browser = await launch();
  });
  after(async () => {
    await browser.close();
    server.close();
  });
  return async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/web/tests/browser/page.html`);
    return page;
  };
}

/**
 * Hide the GPU's subgroups in every worker from the start, so that the first attempt computes rightly.
 * @param {import("playwright-core").Page} page
 */
export async function hideSubgroups(page) {
  await page.route("**/src/engine/worker.js", async (route) => {
    const response = await route.fetch();
    const hidden = 'hideFeatures(["subgroups", "subgroup-size-control"])';
    await route.fulfill({ response, body: (await response.text()).replace("hideFeatures(hidden_features)", hidden) });
  });
}

/**
 * Leave the prefix graphs out of all manifests, so that WASM runs the padded ones.
 * @param {import("playwright-core").Page} page
 */
export async function hidePrefix(page) {
  await page.route("**/reranker.json", async (route) => {
    const response = await route.fetch();
    const manifest = await response.json();
    for (const variant of Object.values(manifest.variants)) Object.assign(variant, { prefix: null, requantize: null });
    await route.fulfill({ response, json: manifest });
  });
}

/**
 * Load a model in a page and score pairs together; then score all but the last, which is the longest, one by one and in
 * batches padded on the left. The longest always has a batch of its own, without padding.
 * @param {import("playwright-core").Page} page
 * @param {{name: string, options: object, pairs: [string, string][], late: boolean}} work
 * @returns {Promise<{device: string, notes: string[], together: number[], alone: number[], left: number[]}>}
 */
export function scoreIn(page, work) {
  return page.evaluate(async ({ name, options, pairs, late }) => {
    const { LateInteraction, Reranker } = await import("onnxrank");
    const source = `/artifacts/${name}`;
    /** @type {{together: number[], alone: number[], left: number[]}} */
    const result = { together: [], alone: [], left: [] };
    /** The protected engine is what pads on the left. @type {any} */
    let model;
    const most = pairs.slice(0, -1);
    if (late) {
      model = await LateInteraction.from_pretrained(source, options);
      for (const [query, document] of most) result.alone.push((await model.rank(query, [document]))[0].score);
      const [query] = pairs[pairs.length - 1];
      const first = pairs.findIndex((pair) => pair[0] === query);
      const texts = pairs.slice(first).map((pair) => pair[1]);
      const { engine } = model.opened();
      const { scores } = await engine.late(query, texts.slice(0, -1), { pad_left: true });
      result.left = [...result.alone.slice(0, first), ...scores];
      result.together = result.alone.slice(0, first);
      for (const hit of await model.rank(query, texts)) result.together[first + hit.corpus_id] = hit.score;
    } else {
      model = await Reranker.from_pretrained(source, options);
      result.together = [...(await model.predict(pairs))];
      for (const pair of most) result.alone.push((await model.predict([pair]))[0]);
      result.left = [...(await model.opened().engine.score(most, { pad_left: true })).scores];
    }
    await model.dispose();
    return { ...result, device: model.device, notes: model.notes };
  }, work);
}
