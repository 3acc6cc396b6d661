/**
 * The demo page: what is typed, ranked by one variant or two, each in a worker of its own.
 */
import { LateInteraction, read_manifest, Reranker } from "onnxrank";
import { act, element, say } from "./form.js";
import { show } from "./results.js";

/** @typedef {{dtype: string, device: string}} Choice */
/** @typedef {{key: string, model: Reranker | LateInteraction}} Loaded */

/** @type {HTMLInputElement} */
const query = element("query");
/** @type {HTMLTextAreaElement} */
const documents = element("documents");
/** @type {HTMLInputElement} */
const source = element("model");
/** @type {HTMLSelectElement} */
const dtype = element("dtype");
/** @type {HTMLSelectElement} */
const device = element("device");
/** @type {HTMLSelectElement} */
const beside = element("beside");
/** @type {HTMLProgressElement} */
const bar = element("progress");

/** The models in memory, by column. @type {(Loaded | undefined)[]} */
const loaded = [];

sayWhatNeedsANetwork();
source.value = new URLSearchParams(location.search).get("model") ?? "./artifact/";
element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  act(rank);
});
source.addEventListener("change", () => act(listVariants));
act(listVariants);

/** The libraries come from elsewhere unless npm, or a release of the Python package, put them beside the page. */
function sayWhatNeedsANetwork() {
  const { host } = new URL(import.meta.resolve("@huggingface/tokenizers"));
  if (host === location.host) return;
  const note = element("network");
  note.textContent = `The page's libraries come from ${host}: without a network it cannot score.`;
  note.hidden = false;
}

/** Fill the choices of precision with what the model has, and their sizes. */
async function listVariants() {
  say("Reading what the model has…");
  const manifest = await read_manifest(source.value);
  for (const [select, first] of /** @type {const} */ ([[dtype, "best for the device"], [beside, "nothing"]])) {
    const names = Object.entries(manifest.variants).map(([name, variant]) => {
      const weights = [variant.padded, ...variant.files.filter((file) => !file.endsWith(".onnx"))];
      const bytes = weights.reduce((sum, file) => sum + manifest.files[file].bytes, 0);
      return new Option(`${name} (${(bytes / 1e6).toFixed(1)} MB)`, name);
    });
    const chosen = select.value;
    select.replaceChildren(new Option(first, ""), ...names);
    select.value = names.some(({ value }) => value === chosen) ? chosen : "";
  }
  say(`${manifest.name}: ready to load.`);
}

async function rank() {
  const texts = documents.value.split("\n").filter((line) => line.trim() !== "");
  element("results").replaceChildren();
  element("notes").replaceChildren();
  if (!texts.length) return say("There are no documents; write one a line.", true);
  const choices = [{ dtype: dtype.value, device: device.value }];
  if (beside.value) choices.push({ dtype: beside.value, device: device.value });
  /** @type {Set<string>} */
  const notes = new Set();
  for (const [column, choice] of choices.entries()) {
    const model = await opened(column, choice);
    say(`Scoring ${texts.length} documents…`);
    const start = performance.now();
    const hits = await model.rank(query.value, texts, { return_documents: true });
    const milliseconds = performance.now() - start;
    const { activation } = model.manifest.scoring;
    const bounded = activation === "sigmoid" && !model.manifest.scoring.late_interaction;
    element("results").append(show(`${model.dtype} on ${model.device}`, hits, milliseconds / texts.length, bounded));
    for (const note of model.notes) notes.add(note);
  }
  for (const note of notes) {
    const item = document.createElement("li");
    item.textContent = note;
    element("notes").append(item);
  }
  if (choices.length === 1) await dismiss(1);
  say("Done.");
}

/**
 * The model of a column, loaded if it is another one than before.
 * @param {number} column
 * @param {Choice} choice
 */
async function opened(column, { dtype, device }) {
  const key = JSON.stringify([source.value, dtype, device]);
  const before = loaded[column];
  if (before?.key === key) return before.model;
  await dismiss(column);
  const manifest = await read_manifest(source.value);
  const Kind = manifest.scoring.late_interaction ? LateInteraction : Reranker;
  const options = { dtype: dtype || undefined, device: device || undefined, progress_callback: report };
  const model = await Kind.from_pretrained(source.value, options).finally(() => (bar.hidden = true));
  loaded[column] = { key, model };
  return model;
}

/** @param {number} column */
async function dismiss(column) {
  const before = loaded[column];
  loaded[column] = undefined;
  await before?.model.dispose();
}

/** @param {{status: string, loaded?: number, total?: number, progress?: number, device?: string}} info */
function report({ status, loaded = 0, total = 0, progress = 0, device }) {
  if (status === "progress_total") {
    bar.hidden = false;
    bar.value = progress;
    say(`Downloading: ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`);
  }
  if (status === "loading") say(`Loading into ${device}…`);
  if (status === "checking") say(`Checking the scores of ${device}…`);
}
