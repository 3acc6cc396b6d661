/**
 * The artifacts that tests/web/fixtures.py writes, and the scores that Python gives them.
 */
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ARTIFACTS = fileURLToPath(new URL("../../../build/web/", import.meta.url));
export const WEB = fileURLToPath(new URL("..", import.meta.url));

/**
 * A pair's texts, token ids and results. logits and scores: of pairs, by exit. prefix_score: where there is a prefix
 * graph. score: of late interaction.
 * @typedef {{query: string, document: string, token_ids: number[], special_token_ids: number[],
 *   query_token_ids?: number[], truncated: boolean, logits?: Record<string, number[]>,
 *   scores?: Record<string, number[]>, prefix_score?: number | null, score?: number}} Expected
 */

/** The names of the artifacts. */
export const NAMES = readdirSync(`${ARTIFACTS}expected`).map((file) => file.replace(/\.json$/, ""));

/**
 * @param {string} name
 * @returns {Record<string, Expected[]>} By variant.
 */
export function expectedOf(name) {
  return JSON.parse(readFileSync(`${ARTIFACTS}expected/${name}.json`, "utf8"));
}

/**
 * @param {string} name
 * @param {string} file
 */
export function textOf(name, file) {
  return readFileSync(`${ARTIFACTS}${name}/${file}`, "utf8");
}

/**
 * How far a variant's scores may be from those that it gives in Python. Node has the same kernels. In browsers, kernels
 * for 8 and 4 bits round otherwise: 0.02 standard deviations were measured on the trained demo, and more than 0.1 on
 * random weights of 64 numbers a token, where one activation that is rounded to the other side counts.
 * @param {string} variant
 * @param {number[]} scores
 * @param {"cpu" | "wasm" | "webgpu"} device
 */
export function allowed(variant, scores, device) {
  const largest = Math.max(1, ...scores.map(Math.abs));
  if (variant === "fp32") return 1e-4 * largest;
  // Activations between two 8-bit steps may be rounded to either side, which moves these tiny models' scores by a hundredth.
  if (device === "cpu") return 2e-2 * largest;
  const mean = scores.reduce((a, b) => a + b) / scores.length;
  return 0.25 * Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length);
}

/**
 * The expected scores: of the prefix graph where there is one and it is wanted, else of one exit of the padded graph, the
 * deepest by default.
 * @param {Expected[]} entries
 * @param {{layers?: string, prefix?: boolean}} [graph]
 * @returns {number[]}
 */
export function scoresOf(entries, { layers, prefix = true } = {}) {
  return entries.map(
    ({ score, scores = {}, prefix_score }) => score ?? (prefix ? prefix_score : null) ?? ofExit(scores, layers)[0],
  );
}

/**
 * @param {Record<string, number[]>} byExit
 * @param {string} [layers]
 */
export function ofExit(byExit, layers) {
  // JavaScript sorts keys that are numbers, so the deepest exit is the last.
  return byExit[layers ?? Object.keys(byExit)[Object.keys(byExit).length - 1]];
}
