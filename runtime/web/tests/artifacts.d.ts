/**
 * @param {string} name
 * @returns {Record<string, Expected[]>} By variant.
 */
export function expectedOf(name: string): Record<string, Expected[]>;
/**
 * @param {string} name
 * @param {string} file
 */
export function textOf(name: string, file: string): string;
/**
 * What a variant may differ from the same variant in Python, in scores between 0 and 1.
 * @param {string} variant
 */
export function allowedScore(variant: string): 0.0001 | 0.005;
/**
 * The expected scores of one exit (the deepest by default), and how they are compared: a sum of similarities relative
 * to its size, like a logit that no activation squeezes between 0 and 1.
 * @param {Expected[]} entries
 * @param {string} [layers]
 * @returns {{scores: number[], scale: number}}
 */
export function scoresOf(entries: Expected[], layers?: string): {
    scores: number[];
    scale: number;
};
export const ARTIFACTS: string;
export const WEB: string;
/**
 * A pair's texts, token ids and results; logits and scores by exit, of pairs; score of late interaction.
 * @typedef {{query: string, document: string, token_ids: number[], special_token_ids: number[],
 *   query_token_ids?: number[], truncated: boolean, logits?: Record<string, number[]>,
 *   scores?: Record<string, number[]>, score?: number}} Expected
 */
/** Their names. */
export const NAMES: string[];
/**
 * A pair's texts, token ids and results; logits and scores by exit, of pairs; score of late interaction.
 */
export type Expected = {
    query: string;
    document: string;
    token_ids: number[];
    special_token_ids: number[];
    query_token_ids?: number[];
    truncated: boolean;
    logits?: Record<string, number[]>;
    scores?: Record<string, number[]>;
    score?: number;
};
