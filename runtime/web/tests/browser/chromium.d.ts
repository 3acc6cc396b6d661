/** @param {string[]} [flags] */
export function launch(flags?: string[]): Promise<import("playwright-core").Browser>;
