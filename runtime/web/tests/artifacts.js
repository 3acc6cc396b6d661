/**
 * The artifacts that tests/web/fixtures.py writes, and the scores that Python gives them.
 */
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ARTIFACTS = fileURLToPath(new URL("../../../build/web/", import.meta.url));
export const WEB = fileURLToPath(new URL("..", import.meta.url));

/**
 * A pair's texts, token ids and results; logits and scores by exit, of pairs; score of late interaction.
 * @typedef {{query: string, document: string, token_ids: number[], special_token_ids: number[],
 *   query_token_ids?: number[], truncated: boolean, logits?: Record<string, number[]>,
 *   scores?: Record<string, number[]>, score?: number}} Expected
 */

/** Their names. */
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
 * What a variant may differ from the same variant in Python, in scores between 0 and 1.
 * @param {string} variant
 */
export function allowedScore(variant) {
  return variant === "fp32" ? 1e-4 : 5e-3;
}

/**
 * The expected scores of one exit (the deepest by default), and how they are compared: a sum of similarities relative
 * to its size, like a logit that no activation squeezes between 0 and 1.
 * @param {Expected[]} entries
 * @param {string} [layers]
 * @returns {{scores: number[], scale: number}}
 */
export function scoresOf(entries, layers) {
  const scores = entries.map(({ score, scores = {} }) => score ?? ofExit(scores, layers)[0]);
  return { scores, scale: Math.max(1, ...scores.map(Math.abs)) };
}

/**
 * @param {Record<string, number[]>} byExit
 * @param {string} [layers]
 */
export function ofExit(byExit, layers) {
  // JavaScript sorts keys that are numbers, so the deepest exit is the last.
  return byExit[layers ?? Object.keys(byExit)[Object.keys(byExit).length - 1]];
}
