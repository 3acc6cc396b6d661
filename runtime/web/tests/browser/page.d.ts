/**
 * Start server and browser before the tests of a file and end them after. Each call of the function that is returned
 * opens a new page.
 */
export function pages(): () => Promise<import("playwright-core").Page>;
/**
 * Load a model in a page and score pairs, all together, one by one, in batches padded on the left, and verify.
 * @param {import("playwright-core").Page} page
 * @param {{name: string, options: object, pairs: [string, string][], late: boolean}} work
 * @returns {Promise<{device: string, notes: string[], together: number[], alone: number[], left: number[],
 *   difference: number}>}
 */
export function scoreIn(page: import("playwright-core").Page, work: {
    name: string;
    options: object;
    pairs: [string, string][];
    late: boolean;
}): Promise<{
    device: string;
    notes: string[];
    together: number[];
    alone: number[];
    left: number[];
    difference: number;
}>;
