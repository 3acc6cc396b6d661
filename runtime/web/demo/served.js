/**
 * The page of `onnxrank serve`: what is typed, ranked by the server.
 */
import { act, element, say } from "./form.js";
import { show } from "./results.js";

/** @typedef {{id: string, kind: string, variant: string}} Model */
/** @typedef {{results: {index: number, relevance_score: number}[], usage: {total_tokens: number}, meta: {truncated: number[]}}} Ranking */

const QUEUE_MILLISECONDS = 1000;

/** @type {HTMLInputElement} */
const query = element("query");
/** @type {HTMLTextAreaElement} */
const documents = element("documents");
/** @type {HTMLSelectElement} */
const model = element("model");
/** @type {HTMLSelectElement} */
const long = element("long");
/** @type {HTMLInputElement} */
const instruction = element("instruction");
/** @type {HTMLInputElement} */
const key = element("key");

/** The served models that rank, by name. @type {Map<string, Model>} */
let models = new Map();

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(rank);
});
key.addEventListener("change", () => act(listModels));
act(listModels);
showQueue();

async function listModels() {
  say("Asking what is served…");
  /** @type {{data: Model[]}} */
  const { data } = await (await ask("v1/models")).json();
  models = new Map(data.filter(({ kind }) => kind !== "embedder").map((one) => [one.id, one]));
  model.replaceChildren(...[...models.values()].map(({ id, variant }) => new Option(`${id} (${variant})`, id)));
  say(models.size ? "Ready." : "No model here ranks documents; /v1/embeddings has the vectors.");
}

async function rank() {
  const texts = documents.value.split("\n").filter((line) => line.trim() !== "");
  element("results").replaceChildren();
  if (!texts.length) return say("There are no documents; write one a line.", true);
  say(`Scoring ${texts.length} documents…`);
  const start = performance.now();
  const response = await ask("rerank", {
    model: model.value,
    query: query.value,
    documents: texts,
    instruction: instruction.value || null,
    long_documents: long.value,
  });
  /** @type {Ranking} */
  const { results, usage, meta } = await response.json();
  const milliseconds = performance.now() - start;
  const hits = results.map(({ index, relevance_score }) => ({
    corpus_id: index,
    score: relevance_score,
    truncated: meta.truncated.includes(index),
    text: texts[index],
  }));
  const bounded = hits.every(({ score }) => score >= 0 && score <= 1);
  const shown = show(`${model.value} on this server`, hits, milliseconds / texts.length, bounded);
  const facts = shown.querySelector(".facts");
  const [total, queue] = ["x-total-time", "x-queue-time"].map((name) => response.headers.get(name));
  const cut = meta.truncated.length ? `; ${meta.truncated.length} of ${texts.length} documents cut` : "";
  facts?.append(`; ${usage.total_tokens} tokens, ${total} ms in the server, of which ${queue} ms in the queue${cut}`);
  element("results").append(shown);
  say("Done.");
}

/** Show how much waits, for as long as the page is looked at. */
async function showQueue() {
  if (!document.hidden) {
    try {
      const health = await (await fetch("health")).json();
      const speed = health.tokens_per_second ? `; ${Math.round(health.tokens_per_second)} tokens a second` : "";
      element("queue").textContent =
        health.status === "ready"
          ? `Queue: ${health.queued_requests} requests, ${health.queued_tokens} tokens${speed}.`
          : `Not ready: ${health.reason}`;
    } catch {
      element("queue").textContent = "The server does not answer.";
    }
  }
  setTimeout(showQueue, QUEUE_MILLISECONDS);
}

/**
 * @param {string} path
 * @param {object} [body] Of a POST.
 * @returns {Promise<Response>}
 */
async function ask(path, body) {
  const headers = new Headers(body ? { "Content-Type": "application/json" } : {});
  if (key.value) headers.set("Authorization", `Bearer ${key.value}`);
  const response = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  if (response.ok) return response;
  const { message } = await response.json().catch(() => ({ message: `The server answered ${response.status}.` }));
  throw new Error(message);
}
