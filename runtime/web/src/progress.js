/**
 * Progress as Transformers.js reports it: per file, and of the whole download.
 */

/**
 * What `progress_callback` is given. status: "progress" (a file), "progress_total" (all of them), "loading" (into the
 * device) or "checking" (its scores).
 * loaded and total are in bytes, progress in percent.
 * @typedef {{status: string, file?: string, loaded?: number, total?: number, progress?: number,
 *   device?: string}} ProgressInfo
 */
/** @typedef {(info: ProgressInfo) => void} ProgressCallback */

/**
 * A function that reports how much of a graph's files is loaded and, once all is, that the device loads the graph.
 * @param {import("./artifact/files.js").GraphFiles} graph
 * @param {string} device
 * @param {ProgressCallback} callback
 * @returns {import("./artifact/files.js").Progress}
 */
export function progressOf({ model, data, requantize, past }, device, callback) {
  const files = [model, ...data, requantize, past].filter((file) => file !== null);
  const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const loadedBytes = new Map();
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  return (file, loaded) => {
    loadedBytes.set(file, loaded);
    const total = sizes.get(file) ?? loaded;
    callback({ status: "progress", file, loaded, total, progress: percent(loaded, total) });
    const sum = [...loadedBytes.values()].reduce((a, b) => a + b, 0);
    callback({ status: "progress_total", loaded: sum, total: all, progress: percent(sum, all) });
    if (sum === all) callback({ status: "loading", device });
  };
}

/**
 * @param {number} part
 * @param {number} whole
 */
function percent(part, whole) {
  return whole ? (100 * part) / whole : 100;
}
